import { expect, test } from "vitest";

import { keep, kept } from "../src/reloaded";

function store(): Pick<Storage, "getItem" | "setItem" | "removeItem"> & { readonly values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    getItem: (name) => values.get(name) ?? null,
    setItem: (name, value) => void values.set(name, value),
    removeItem: (name) => void values.delete(name),
  };
}

test.each([
  ["at once", 1_000, "s-1"],
  ["after 29 seconds", 30_000, "s-1"],
  ["after 30 seconds", 31_000, ""],
  ["with a clock that was set back", 0, ""],
])("a conversation is gone on with %s: %s", (_, now, wanted) => {
  const tab = store();
  keep(() => tab, "s-1", 1_000);
  expect(kept(() => tab, now)).toBe(wanted);
  expect(kept(() => tab, now)).toBe("");
});

test("a page that was in none leaves none", () => {
  const tab = store();
  keep(() => tab, "s-1", 1_000);
  keep(() => tab, "", 1_000);
  expect(tab.values.size).toBe(0);
});

test.each(["", "null", "7", "{", JSON.stringify({ conversation: 7, now: 1_000 }), JSON.stringify({ conversation: "x".repeat(101), now: 1_000 })])(
  "what is none of ours is nothing: %s",
  (value) => {
    const tab = store();
    tab.setItem("parley.conversation", value);
    expect(kept(() => tab, 1_000)).toBe("");
  },
);

test("a browser that keeps nothing is no fault", () => {
  const none = (): never => {
    throw new Error("denied");
  };
  keep(none, "s-1", 1_000);
  expect(kept(none, 1_000)).toBe("");
});
