// The transcript: every entry is one element that is changed in place, so that nothing jumps.

import { captionOf, type Entry, type ToolState } from "@parley/client";

import { isKey, t, tCount } from "../words";

/** Characters of an unheard rest that are shown, and of what is still to be said. */
const MOST_UNHEARD = 140;
const MOST_AHEAD = 220;

export class TranscriptView {
  private readonly shown = new Map<string, { element: HTMLElement; entry: Entry }>();
  private readonly announced = new Set<string>();
  private readonly box: HTMLElement;
  private readonly announcer: HTMLElement;

  constructor(box: HTMLElement, announcer: HTMLElement) {
    this.box = box;
    this.announcer = announcer;
  }

  render(entries: readonly Entry[]): void {
    const follows = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    const ids = new Set(entries.map((entry) => entry.id));
    for (const [id, { element }] of this.shown) {
      if (!ids.has(id)) {
        element.remove();
        this.shown.delete(id);
      }
    }
    for (const entry of entries) this.show(entry);
    if (follows) this.box.scrollTop = this.box.scrollHeight;
  }

  /** Another language: write every line anew. */
  rewrite(): void {
    for (const known of this.shown.values()) known.entry = { ...known.entry, id: "" };
  }

  private show(entry: Entry): void {
    const known = this.shown.get(entry.id);
    if (known?.entry === entry) return;
    if (known && known.entry.id === entry.id && onlyMoved(known.entry, entry)) {
      known.entry = entry;
      caption(known.element.lastElementChild as HTMLElement, entry);
      return;
    }
    const element = known?.element ?? document.createElement("div");
    element.className = `entry ${entry.who}${entry.done ? "" : " partial"}${entry.nod ? " nod" : ""}`;
    if (entry.tool) element.dataset.tool = entry.tool;
    const name = document.createElement("b");
    name.textContent = t(entry.who);
    name.lang = document.documentElement.lang;
    element.replaceChildren(name, words(entry));
    if (!known) this.box.append(element);
    this.shown.set(entry.id, { element, entry });
    if (entry.done) this.announce(entry);
  }

  /** Only finished sentences are read out; partials would interrupt the reader all the time. */
  private announce(entry: Entry): void {
    if (this.announced.has(entry.id)) return;
    this.announced.add(entry.id);
    const line = document.createElement("p");
    line.textContent = `${t(entry.who)}: ${inWords(entry)}`;
    this.announcer.append(line);
    while (this.announcer.childElementCount > 5) this.announcer.firstElementChild?.remove();
  }
}

function inWords(entry: Entry): string {
  if (entry.tool) return toolInWords(entry.text, entry.tool);
  return `${entry.heard ?? entry.text}${entry.heard === null ? "" : ` — ${t("cut_off")}`}`;
}

function toolInWords(name: string, state: ToolState): string {
  const tool = name.replaceAll("_", " ");
  const key = `tool_${state}`;
  return isKey(key) ? t(key, { tool }) : `${tool}: ${state}`;
}

function words(entry: Entry): HTMLElement {
  const text = document.createElement("p");
  // What is said may run the other way than the page does.
  text.dir = "auto";
  if (entry.tool) {
    text.textContent = toolInWords(entry.text, entry.tool);
    text.lang = document.documentElement.lang;
    return text;
  }
  if (entry.place) {
    caption(text, entry);
  } else if (entry.heard === null) {
    text.textContent = entry.text || "…";
  } else {
    const { heard, lost: unheard } = captionOf(entry);
    text.append(heard);
    if (unheard.trim()) {
      const gone = document.createElement("del");
      gone.textContent = beginning(unheard);
      gone.title = t("not_heard", { text: unheard.trim() });
      text.append(gone);
    }
    const note = document.createElement("small");
    const count = unheard.trim() ? unheard.trim().split(/\s+/).length : 0;
    note.textContent = count ? tCount("lost_one", "lost_other", count) : t("cut_off");
    note.lang = document.documentElement.lang;
    text.append(note);
  }
  if (entry.nod) {
    const note = document.createElement("small");
    note.textContent = t("nod");
    note.lang = document.documentElement.lang;
    text.append(note);
  }
  return text;
}

/** The same reply, a little further on: most of what ever changes here. */
function onlyMoved(before: Entry, after: Entry): boolean {
  return before.place !== undefined && after.place !== undefined && before.done === after.done;
}

/** What was heard, the word that sounds, and what is to come, of which a long reply shows only the beginning. */
function caption(box: HTMLElement, entry: Entry): void {
  if (!entry.place) return;
  if (box.childElementCount !== 3) {
    box.className = "caption";
    box.replaceChildren(...["heard", "now", "ahead"].map((name) => Object.assign(document.createElement("span"), { className: name })));
  }
  const { heard, now, ahead } = captionOf(entry);
  const parts = [heard, now, ahead.length > MOST_AHEAD ? beginning(ahead, MOST_AHEAD) : ahead || (entry.place.to ? "" : "…")];
  parts.forEach((part, index) => {
    const span = box.children[index] as HTMLElement;
    if (span.textContent !== part) span.textContent = part;
  });
}

/** Of a long rest that nobody heard a few words are enough: what was said is what matters. */
function beginning(text: string, most = MOST_UNHEARD): string {
  if (text.length <= most) return text;
  return `${text.slice(0, text.lastIndexOf(" ", most))} …`;
}
