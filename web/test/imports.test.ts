// The page is made of the library that others get: for sound and connection it has nothing else.

import { describe, expect, it } from "vitest";

const SOURCES = import.meta.glob<string>("../src/**/*.ts", { query: "?raw", import: "default", eager: true });
const IMPORTED = /(?:from|import)\s*\(?\s*"([^"]+)"/g;
const ALLOWED = /^@parley\/client(\/livekit)?$|^\.\/|^\.\.\/(?!.*packages)/;
const SOUND_OR_CONNECTION = /\b(AudioContext|AudioWorklet\w*|MediaStream\w*|mediaDevices|getUserMedia|new Audio|RTC[A-Z]\w+|WebSocket\(|EventSource|XMLHttpRequest|sendBeacon|fetch)\b/;

describe.each(Object.keys(SOURCES))("%s", (name) => {
  const code = (SOURCES[name] as string).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");

  it("imports the library, its own files, and nothing else", () => {
    const imported = [...code.matchAll(IMPORTED)].map(([, from]) => from as string);
    expect(imported.filter((from) => !ALLOWED.test(from))).toEqual([]);
  });

  it("opens no sound and no connection of its own", () => {
    expect(SOUND_OR_CONNECTION.exec(code)?.[0]).toBeUndefined();
  });
});

it("looks at the files of the page", () => {
  expect(Object.keys(SOURCES)).toContain("../src/main.ts");
  expect("new WebSocket(url)").toMatch(SOUND_OR_CONNECTION);
});
