import { beforeEach, describe, expect, it, vi } from "vitest";

import { Cuts } from "../src/view/cuts";

const AUDIBLE = 0.003;
const changed = vi.fn();
let cuts: Cuts;

/** Blocks of 10 ms from one time to another, by the times of their ends. */
function blocks(from: number, to: number, each: (time: number) => void): void {
  for (let block = Math.round(from * 100) + 1; block <= Math.round(to * 100); block += 1) each(block / 100);
}
const speak = (from: number, to: number): void => blocks(from, to, (time) => cuts.input({ level: 0.1, voiced: true, time }));
const hush = (from: number, to: number): void => blocks(from, to, (time) => cuts.input({ level: 0, voiced: false, time }));
const sounds = (from: number, to: number, level: number): void => blocks(from, to, (time) => cuts.output({ level, voiced: true, time }));

beforeEach(() => {
  changed.mockReset();
  cuts = new Cuts(AUDIBLE, changed);
});

describe("a cut-in", () => {
  it("counts from the first voiced block to the first block without sound, and knows what became of it", () => {
    speak(5, 5.03);
    cuts.ducked(5.035);
    speak(5.03, 5.08);
    cuts.stopped(5.08);
    sounds(5.08, 5.1, 0.05);
    sounds(5.1, 5.2, 0);
    cuts.decided(false, 5.4);
    expect(cuts.all).toEqual([{ number: 1, softer: expect.closeTo(35, 6), silent: expect.closeTo(100, 6), wentOn: false }]);
    expect(changed).toHaveBeenCalledTimes(3);
  });

  it("is one with a short gap in it, and two with a long one", () => {
    speak(1, 1.05);
    cuts.ducked(1.05);
    hush(1.05, 1.15);
    speak(1.15, 1.2);
    cuts.stopped(1.2);
    sounds(1.2, 1.21, 0);
    expect(cuts.all).toEqual([{ number: 1, softer: expect.closeTo(50, 6), silent: expect.closeTo(200, 6), wentOn: null }]);
    hush(1.2, 3);
    speak(3, 3.1);
    cuts.stopped(3.1);
    sounds(3.1, 3.11, 0);
    expect(cuts.all.map(({ number, silent }) => [number, Math.round(silent ?? -1)])).toEqual([[1, 200], [2, 100]]);
  });

  it("that was a nod has the answer go on, and silence that comes later is no part of it", () => {
    speak(2, 2.1);
    cuts.stopped(2.1);
    cuts.decided(true, 2.2);
    sounds(2.2, 2.3, 0);
    expect(cuts.all).toEqual([{ number: 1, softer: null, silent: null, wentOn: true }]);
  });
});

it("a button that stops the voice is no cut-in: nobody spoke", () => {
  cuts.stopped(4);
  sounds(4, 4.1, 0);
  cuts.decided(false, 4.1);
  speak(5, 5.1);
  cuts.stopped(60);
  sounds(60, 60.1, 0);
  expect(cuts.all).toEqual([]);
});

it("a pause of the voice itself is no silence of ours", () => {
  speak(1, 1.1);
  cuts.ducked(1.1);
  sounds(1.1, 1.5, 0);
  expect(cuts.all[0]?.silent).toBeNull();
});

it("after another connection the clock begins anew, and what was measured stays", () => {
  speak(100, 100.1);
  cuts.ducked(100.04);
  cuts.restart();
  speak(1, 1.1);
  cuts.ducked(1.03);
  expect(cuts.all.map(({ softer }) => Math.round(softer ?? -1))).toEqual([40, 30]);
});

it("keeps the last twenty", () => {
  for (let number = 1; number <= 25; number += 1) {
    speak(number * 10, number * 10 + 0.1);
    cuts.ducked(number * 10 + 0.1);
  }
  expect(cuts.all.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
});
