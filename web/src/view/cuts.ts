// When somebody cut in: how soon the voice was softer, and how soon silent. All times are seconds on the audio clock, so
// that what is compared was heard by the same ear. No DOM, no clocks.

import type { Reading } from "@parley/client";

export interface Cut {
  readonly number: number;
  /** Milliseconds from the first voiced block of the microphone; null where it did not come to that. */
  readonly softer: number | null;
  readonly silent: number | null;
  /** The answer went on, since it was a nod or a noise; null until that is known. */
  readonly wentOn: boolean | null;
}

type Heard = Pick<Reading, "level" | "voiced" | "time">;

/** A meter's block, in seconds: its time is that of its end. */
const BLOCK = 0.01;
/** A word breaks off for as long as this between two voiced blocks, as at a "p" or a "t". */
const GAP = 0.15;
/** What stops the voice later than this after the voice of the microphone began was something else. */
const LATEST = 3;
const MOST_CUTS = 20;

export class Cuts {
  /** Oldest first; another list after each change. */
  all: readonly Cut[] = [];
  private began = Number.NEGATIVE_INFINITY;
  private voiced = Number.NEGATIVE_INFINITY;
  /** Which beginning the last cut belongs to. */
  private counted = Number.NEGATIVE_INFINITY;
  private count = 0;
  /** The answer is to be silent, and is not yet. */
  private stopping = false;
  private readonly audible: number;
  private readonly changed: () => void;

  /** `audible`: the root mean square from which on a sound counts as heard; `changed` is called after each change. */
  constructor(audible: number, changed: () => void) {
    this.audible = audible;
    this.changed = changed;
  }

  /** A block of the microphone. */
  input(reading: Heard): void {
    if (!reading.voiced) return;
    if (reading.time - this.voiced > GAP) this.began = reading.time - BLOCK;
    this.voiced = reading.time;
  }

  /** A block of what the listener hears. */
  output(reading: Heard): void {
    if (!this.stopping || reading.level >= this.audible) return;
    this.stopping = false;
    this.change({ silent: this.since(reading.time - BLOCK) });
  }

  /** The page has made the voice softer. */
  ducked(now: number): void {
    if (this.open(now)) this.change({ softer: this.all.at(-1)?.softer ?? this.since(now) });
  }

  /** The server has stopped the voice, for now or for good. */
  stopped(now: number): void {
    if (this.open(now) && this.all.at(-1)?.silent === null) this.stopping = true;
  }

  /** What it was is decided. */
  decided(wentOn: boolean, now: number): void {
    if (wentOn) this.stopping = false;
    if (now - this.counted < LATEST && this.all.at(-1)?.wentOn === null) this.change({ wentOn });
  }

  /** Another sound, whose clock begins anew; what was measured stays. */
  restart(): void {
    this.began = this.voiced = this.counted = Number.NEGATIVE_INFINITY;
    this.stopping = false;
  }

  /** True when somebody is cutting in; what is measured from now on belongs to that. */
  private open(now: number): boolean {
    if (now - this.began > LATEST) return false;
    if (this.counted !== this.began) {
      this.counted = this.began;
      this.count += 1;
      this.all = [...this.all, { number: this.count, softer: null, silent: null, wentOn: null }].slice(-MOST_CUTS);
    }
    return true;
  }

  private since(time: number): number {
    return Math.max(0, (time - this.counted) * 1000);
  }

  private change(part: Partial<Cut>): void {
    const last = this.all.at(-1);
    if (!last) return;
    this.all = [...this.all.slice(0, -1), { ...last, ...part }];
    this.changed();
  }
}
