import { describe, expect, it } from "vitest";

import { captionOf, placeOf, unitsOf } from "../src/captions";

const TEXT = "Once upon a time";
const MARKS = [
  { text_start: 0, text_end: 4, start_sample: 0, end_sample: 100 },
  { text_start: 5, text_end: 9, start_sample: 100, end_sample: 200 },
  { text_start: 10, text_end: 11, start_sample: 250, end_sample: 300 },
];

describe("the place of a caption", () => {
  it.each([
    [0, 0, 0],
    [1, 0, 4],
    [100, 4, 4],
    [101, 5, 9],
    [200, 9, 9],
    [240, 9, 9],
    [251, 10, 11],
    [9_999, 11, 11],
  ])("after %i samples is %i to %i", (sample, from, to) => {
    expect(placeOf(TEXT, MARKS, sample)).toEqual({ from, to });
  });

  it("is the beginning where nobody tells where the words are", () => {
    expect(placeOf(TEXT, [], 5_000)).toEqual({ from: 0, to: 0 });
  });

  it("counts characters as the server does", () => {
    const text = "😀😀 hi";
    expect(unitsOf(text, 2)).toBe(4);
    expect(unitsOf(text, 5)).toBe(7);
    expect(unitsOf(text, 99)).toBe(7);
  });

  it("never goes back while the sound goes on", () => {
    let last = 0;
    for (let sample = 0; sample < 400; sample += 7) {
      const { from, to } = placeOf(TEXT, MARKS, sample);
      expect(from).toBeLessThanOrEqual(to);
      expect(to).toBeGreaterThanOrEqual(last);
      last = to;
    }
  });
});

describe("the parts of a caption", () => {
  it("are what was heard, the word that sounds, and what is to come", () => {
    expect(captionOf({ text: TEXT, heard: null, place: { from: 5, to: 9 } })).toEqual({ heard: "Once ", now: "upon", ahead: " a time", lost: "" });
  });

  it("are what was heard and what was lost, where somebody cut in", () => {
    expect(captionOf({ text: TEXT, heard: "Once upon" })).toEqual({ heard: "Once upon", now: "", ahead: "", lost: " a time" });
    expect(captionOf({ text: TEXT, heard: "" })).toMatchObject({ heard: "", lost: TEXT });
  });

  it("are the whole of anything else", () => {
    expect(captionOf({ text: TEXT, heard: null })).toEqual({ heard: TEXT, now: "", ahead: "", lost: "" });
  });
});
