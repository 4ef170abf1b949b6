import { expect, it, test } from "vitest";

import { axisEnd, cutPoints, middleOf, turnPoints } from "../src/view/plot";

test.each([[0, 10], [10, 10], [11, 20], [21, 25], [26, 50], [99, 100], [430, 500], [999.5, 1000], [1001, 2000]])("an axis that holds %d ends at %d", (value, end) => {
  expect(axisEnd(value)).toBe(end);
});

test.each([[[3, 1, 2], 2], [[4, 1, 2, 3], 2.5], [[7], 7], [[], 0]])("the middle of %j is %d", (values, middle) => {
  expect(middleOf(values)).toBe(middle);
});

it("a turn is as long as its last stage, also where the page heard it later", () => {
  const stages = [["vad", 40], ["asr", 30], ["sent", 300]] as const;
  expect(turnPoints([{ turn: 3, stages, audible: 380 }, { turn: 4, stages, audible: null }])).toEqual([
    { name: "3", values: [380] },
    { name: "4", values: [300] },
  ]);
});

it("a cut-in has what was measured of it, and none is drawn of which nothing was", () => {
  expect(cutPoints([
    { number: 1, softer: 35, silent: 80, wentOn: false },
    { number: 2, softer: null, silent: 90, wentOn: null },
    { number: 4, softer: 35, silent: null, wentOn: null },
    { number: 3, softer: null, silent: null, wentOn: true },
  ])).toEqual([{ name: "1", values: [35, 80] }, { name: "2", values: [90] }, { name: "4", values: [35], open: true }]);
});
