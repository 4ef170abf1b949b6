import { expect, it, test } from "vitest";

import type { VoiceModel } from "@parley/client";
import { describe as inWords, loadedSoFar } from "../src/voices";

const AMY: VoiceModel = { model_id: "amy", family: "piper", languages: ["en"], speakers: [], state: "available", is_default: false, error: "" };

test.each([
  ["available", 2.6, "amy: on disk; it is loaded when you choose it; loads in about 3 s"],
  ["available", 0.2, "amy: on disk; it is loaded when you choose it; loads in about 1 s"],
  ["available", 0, "amy: on disk; it is loaded when you choose it"],
  ["loading", 12, "amy: loading…; loads in about 12 s"],
  ["resident", 12, "amy: ready"],
] as const)("a voice that is %s and took %d s to load", (state, load_seconds, words) => {
  expect(inWords({ ...AMY, state, load_seconds })).toBe(words);
});

it("has come as far as the last load had by then, never to the end, and nobody guesses", () => {
  const known = { ...AMY, load_seconds: 4 };
  expect([0, 1, 3, 9].map((elapsed) => loadedSoFar(known, elapsed))).toEqual([0, 0.25, 0.75, 0.97]);
  expect(loadedSoFar(AMY, 1)).toBeNull();
});
