import { afterEach, expect, it, vi } from "vitest";

import { Events } from "../src/events";

class Numbers extends Events<{ number: number }> {
  tell(number: number): void {
    this.emit("number", number);
  }
}
afterEach(() => vi.unstubAllGlobals());

it("tells each listener until it no longer wants to know", () => {
  const numbers = new Numbers();
  const heard: number[] = [];
  const end = numbers.on("number", (number) => heard.push(number));
  numbers.on("number", (number) => heard.push(-number));
  numbers.tell(1);
  end();
  numbers.tell(2);
  expect(heard).toEqual([1, -1, -2]);
});

it("goes on after a listener that fails, whose fault is the page's", () => {
  const later: (() => void)[] = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) => later.push(task));
  const numbers = new Numbers();
  const heard: number[] = [];
  numbers.on("number", () => {
    throw new Error("a fault of the page");
  });
  numbers.on("number", (number) => heard.push(number));
  numbers.tell(1);
  expect(heard).toEqual([1]);
  expect(later[0]).toThrow("a fault of the page");
});
