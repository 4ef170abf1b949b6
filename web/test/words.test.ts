/// <reference types="vite/client" />

import { describe, expect, it, test } from "vitest";

import type { TroubleCode } from "@parley/client";
import page from "../index.html?raw";
import { en } from "../src/words/en";
import { fill, isKey, LANGUAGES, languageFor, wordsOf, type Key, type Language } from "../src/words";

const KEYS = Object.keys(en).sort();
const LETTERS = /\{(\w+)\}/g;
const placesOf = (message: string): string[] => [...message.matchAll(LETTERS)].map(([, name]) => name as string).sort();

describe.each(Object.keys(LANGUAGES) as Language[])("the words in %s", (language) => {
  it("have every key, and no other", async () => {
    expect(Object.keys(await wordsOf(language)).sort()).toEqual(KEYS);
  });

  it("have the places that English has, and say something", async () => {
    for (const [key, message] of Object.entries(await wordsOf(language))) {
      expect(placesOf(message), key).toEqual(placesOf(en[key as Key]));
      expect(message.trim(), key).not.toBe("");
    }
  });
});

test("what stands in the page is what English says", () => {
  const texts = [...page.matchAll(/data-t="(\w+)"[^>]*>([^<]+)</g), ...page.matchAll(/data-t-label="(\w+)" aria-label="([^"]+)"/g), ...page.matchAll(/data-t-placeholder="(\w+)" placeholder="([^"]+)"/g)];
  expect(texts).toHaveLength(page.match(/data-t(-label|-placeholder)?="/g)?.length ?? 0);
  for (const [, key = "", text] of texts) expect(text, key).toBe(en[key as Key]);
});

test("every trouble of the page's own is told in the page's language", () => {
  const own: Record<Exclude<TroubleCode, "refused" | "path_blocked" | "other">, true> = {
    microphone_refused: true, microphone_missing: true, microphone_busy: true, microphone_failed: true, microphone_muted: true,
    microphone_silent: true, microphone_replaced: true, microphone_narrow: true, insecure_page: true, detour: true, unauthorized: true, server_full: true,
    server_gone: true, lost: true,
  };
  for (const code of Object.keys(own)) expect(isKey(`trouble_${code}`), code).toBe(true);
});

test.each([
  ["", ["de-CH", "en"], "de"],
  ["", ["pt-BR", "ES"], "es"],
  ["", ["zh-Hant-TW"], "zh"],
  ["fr", ["de"], "fr"],
  ["toString", ["toString"], "en"],
  ["", [], "en"],
] as const)("chosen %j, browser's %j: %s", (chosen, wanted, language) => {
  expect(languageFor(chosen, wanted)).toBe(language);
});

test("places are filled, also by what looks like a place", () => {
  expect(fill("{who} says {what} {rest}", { who: "{what}", what: 0 })).toBe("{what} says 0 {rest}");
});
