import { describe, expect, it, test } from "vitest";

import { recall, Remembered } from "../src/remembered";

function storeOf(kept: Map<string, string>): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) };
}

describe("what is remembered", () => {
  it("comes back as it was, and is gone when it is forgotten, which leaves what is not ours", () => {
    const kept = new Map([["another.page", "stays"]]);
    const remembered = new Remembered(() => storeOf(kept));
    remembered.set("voice", "espeak\u0001f5");
    remembered.setDevice("device", { id: "a1", label: "Desk" });
    expect([remembered.get("voice"), remembered.device("device"), remembered.device("speaker")]).toEqual(["espeak\u0001f5", { id: "a1", label: "Desk" }, null]);
    remembered.forget();
    expect([...kept]).toEqual([["another.page", "stays"]]);
  });

  it("is bounded, and an empty choice is none", () => {
    const kept = new Map<string, string>();
    const remembered = new Remembered(() => storeOf(kept));
    remembered.set("voice", "a");
    remembered.set("voice", "x".repeat(501));
    expect(kept.size).toBe(0);
    kept.set("parley.voice", "x".repeat(501));
    expect(remembered.get("voice")).toBe("");
  });

  it("is nothing where the browser keeps nothing", () => {
    const remembered = new Remembered(() => {
      throw new DOMException("denied", "SecurityError");
    });
    remembered.set("theme", "dark");
    remembered.forget();
    expect([remembered.get("theme"), remembered.device("device")]).toEqual(["", null]);
  });

  test.each([
    ['{"id":"a","label":"Desk"}', { id: "a", label: "Desk" }],
    ["0123abcd", { id: "0123abcd", label: "" }], // as it was kept before names were
    ['{"id":7}', null],
    ['{"id":"","label":"Desk"}', null],
    ["", null],
  ])("%j is the device %j", (value, device) => {
    expect(new Remembered(() => storeOf(new Map([["parley.device", value]]))).device("device")).toEqual(device);
  });
});

const THERE = [{ deviceId: "1", label: "Desk" }, { deviceId: "2", label: "Headset" }, { deviceId: "3", label: "" }];

test.each([
  [{ id: "2", label: "Desk" }, "2"],
  [{ id: "gone", label: "Desk" }, "1"],
  [{ id: "gone", label: "Hall" }, undefined],
  [{ id: "gone", label: "" }, undefined],
])("of the devices there are, %j is %j", (remembered, id) => {
  expect(recall(THERE, remembered)?.deviceId).toBe(id);
});
