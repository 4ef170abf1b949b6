import { expect, it } from "vitest";

import { Onsets } from "../src/connection/onsets";

it("counts from the sound that was announced, not from its announcement", () => {
  const onsets = new Onsets();
  onsets.announce("u1", 480, 10);
  onsets.sounded(10.2);

  expect(onsets.heard("u1", 10.3)).toBe(480 + 4_800);
});

it("takes a sound that came a little before its announcement", () => {
  const onsets = new Onsets();
  onsets.sounded(9.97);
  onsets.announce("u1", 0, 10);

  expect(onsets.heard("u1", 10)).toBe(1_440);
});

it("takes no later sound of the same speech for the beginning", () => {
  const onsets = new Onsets();
  onsets.announce("u1", 0, 10);
  onsets.sounded(10.1);
  onsets.sounded(10.3);

  expect(onsets.heard("u1", 10.5)).toBe(19_200);
});

it("guesses by the usual delay where the sound was not noticed", () => {
  const onsets = new Onsets();
  onsets.announce("u1", 0, 10);
  onsets.sounded(10.06);
  onsets.announce("u2", 0, 20);

  expect(onsets.heard("u2", 20.05)).toBeNull();
  expect(onsets.heard("u2", 20.19)).toBe(4_800);
});

it("knows nothing of another utterance", () => {
  const onsets = new Onsets();
  onsets.announce("u1", 0, 10);
  onsets.sounded(10.1);

  expect(onsets.heard("u2", 11)).toBeNull();
});
