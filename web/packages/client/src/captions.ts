// Where a reply stands in its own words. Pure.

import type { Mark } from "./protocol.js";

/** In UTF-16 units of the text: what lies before `from` was heard, `from` to `to` sounds now, the rest is to come. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

export const BEGINNING: Place = { from: 0, to: 0 };

/** `sample`: one past the last one heard; marks are in order, their characters are code points. */
export function placeOf(text: string, marks: readonly Mark[], sample: number): Place {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle] as Mark).start_sample < sample) low = middle + 1;
    else high = middle;
  }
  const word = marks[low - 1];
  if (!word) return BEGINNING;
  const to = unitsOf(text, word.text_end);
  return { from: sample < word.end_sample ? unitsOf(text, word.text_start) : to, to };
}

/** The server counts characters as Python does; a character beyond the first 65,536 is two units here. */
export function unitsOf(text: string, points: number): number {
  if (!/[\ud800-\udfff]/.test(text)) return Math.min(points, text.length);
  let units = 0;
  for (let seen = 0; seen < points && units < text.length; seen += 1) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
  }
  return units;
}

/** A text in the parts that are shown each in their own way; together they are the text. */
export interface Caption {
  readonly heard: string;
  /** The word that sounds. */
  readonly now: string;
  /** Still to be said. */
  readonly ahead: string;
  /** Never heard, because somebody cut in. */
  readonly lost: string;
}

/** `heard`: what was heard of a reply that was cut off, null for any other; `place`: of one that is being spoken. */
export function captionOf({ text, heard, place }: { text: string; heard: string | null; place?: Place | undefined }): Caption {
  if (place) return { heard: text.slice(0, place.from), now: text.slice(place.from, place.to), ahead: text.slice(place.to), lost: "" };
  const cut = heard === null ? text.length : text.startsWith(heard) ? heard.length : 0;
  return { heard: text.slice(0, cut), now: "", ahead: "", lost: text.slice(cut) };
}
