// A conversation outlives the reload of its page: its id, and nothing that was said, is kept in the tab while it reloads.

const NAME = "parley.conversation";
/** Milliseconds for which servers keep a conversation that nobody is in, as they are set up usually. */
const KEPT = 30_000;

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** The page goes: which conversation it is in, if any. `store` may throw, where a browser keeps nothing. */
export function keep(store: () => Store, conversation: string, now: number): void {
  try {
    if (conversation) store().setItem(NAME, JSON.stringify({ conversation, now }));
    else store().removeItem(NAME);
  } catch {
    // then it begins anew
  }
}

/** The conversation that the page before this one was in; empty where there was none, or too long ago. */
export function kept(store: () => Store, now: number): string {
  try {
    const { conversation, now: then } = JSON.parse(store().getItem(NAME) ?? "{}") as { conversation?: unknown; now?: unknown };
    store().removeItem(NAME);
    const fresh = typeof then === "number" && now >= then && now - then < KEPT;
    return fresh && typeof conversation === "string" && conversation.length <= 100 ? conversation : "";
  } catch {
    return "";
  }
}
