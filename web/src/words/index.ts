// The page's languages: one file for each, English at hand, the others fetched when somebody reads them.

import { en } from "./en";

export type Key = keyof typeof en;
export type Words = Readonly<Record<Key, string>>;
export type Language = "en" | "de" | "fr" | "es" | "zh";
export type Values = Readonly<Record<string, string | number>>;

/** Each by its own name, as people look for it. */
export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch", fr: "Français", es: "Español", zh: "中文" };

const FILES: Readonly<Record<Exclude<Language, "en">, () => Promise<Words>>> = {
  de: async () => (await import("./de")).de,
  fr: async () => (await import("./fr")).fr,
  es: async () => (await import("./es")).es,
  zh: async () => (await import("./zh")).zh,
};

/** The one that the person chose, else the first of the browser's that there is, else English. */
export function languageFor(chosen: string, wanted: readonly string[]): Language {
  const known = (tag: string): tag is Language => Object.hasOwn(LANGUAGES, tag);
  if (known(chosen)) return chosen;
  return wanted.map((tag) => tag.toLowerCase().split("-")[0] ?? "").find(known) ?? "en";
}

export async function wordsOf(language: Language): Promise<Words> {
  return language === "en" ? en : FILES[language]();
}

/** A message with its {places} filled. */
export function fill(message: string, values: Values = {}): string {
  return message.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

let language: Language = "en";
let words: Words = en;

/** From now on, speak this language. Where its file can not be had, the one before is kept. */
export async function speakLanguage(next: Language): Promise<void> {
  try {
    words = await wordsOf(next);
    language = next;
  } catch {
    // The connection broke, or the server has another version by now: what is on the page still holds.
  }
  document.documentElement.lang = language;
}

export function inEnglish(): boolean {
  return language === "en";
}

export function t(key: Key, values?: Values): string {
  return fill(words[key], values);
}

/** The form for so many of them. */
export function tCount(one: Key, other: Key, count: number): string {
  return t(new Intl.PluralRules(language).select(count) === "one" ? one : other, { count });
}

export function isKey(name: string): name is Key {
  return Object.hasOwn(words, name);
}

/** Write every fixed text of the page: `data-t` is an element's text, `data-t-label` and `data-t-placeholder` its attributes. */
export function translatePage(root: ParentNode = document): void {
  for (const target of root.querySelectorAll<HTMLElement>("[data-t]")) target.textContent = t(target.dataset.t as Key);
  for (const target of root.querySelectorAll<HTMLElement>("[data-t-label]")) target.setAttribute("aria-label", t(target.dataset.tLabel as Key));
  for (const target of root.querySelectorAll<HTMLElement>("[data-t-placeholder]")) target.setAttribute("placeholder", t(target.dataset.tPlaceholder as Key));
}
