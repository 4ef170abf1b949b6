import { expect, test } from "vitest";

import { modelsInWords } from "../src/models";

test("the models in use are one sentence, in the order of a conversation", () => {
  expect(modelsInWords({ llm: "script", turn: "words", voice: "espeak", ears: "pocketsphinx" })).toBe(
    "Hears with pocketsphinx, speaks with espeak, knows the end of a turn by words, answers with script.",
  );
});

test("what the server does not name is left out", () => {
  expect(modelsInWords({ voice: "en_US-joe-medium" })).toBe("Speaks with en_US-joe-medium.");
  expect(modelsInWords({})).toBe("");
});
