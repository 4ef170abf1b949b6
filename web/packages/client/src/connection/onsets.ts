// Which sample is being heard, told by the sound itself: a room's server rewrites RTP timestamps.
// Times are seconds on the page's audio clock, samples are at 48 kHz.

import { SAMPLE_RATE } from "../protocol.js";

/** The news of a sound and the sound travel apart: how much the news may be late, and how much early. */
const LATE = 0.05;
const EARLY = 0.4;
/** From news to sound, until the first pair has been seen. */
const USUAL = 0.1;

export class Onsets {
  private utterance = "";
  private sample = 0;
  private at = 0;
  private announced = -1;
  private awaited = false;
  private usual = USUAL;
  private last = -1;

  /** The server says: the next sound after a silence is this sample. Until it is heard, its time is a guess. */
  announce(utterance: string, sample: number, now: number): void {
    this.utterance = utterance;
    this.sample = sample;
    this.announced = now;
    this.at = now + this.usual;
    this.awaited = true;
    if (this.last > now - LATE) this.sounded(this.last);
  }

  /** A silent stream became audible at this time. */
  sounded(at: number): void {
    this.last = at;
    if (!this.awaited || at < this.announced - LATE || at > this.announced + EARLY) return;
    this.awaited = false;
    this.at = at;
    this.usual += (Math.max(0, at - this.announced) - this.usual) / 4;
  }

  /** One past the last sample heard; null before the first. */
  heard(utterance: string, now: number): number | null {
    if (utterance !== this.utterance || now < this.at) return null;
    return Math.round(this.sample + (now - this.at) * SAMPLE_RATE);
  }
}
