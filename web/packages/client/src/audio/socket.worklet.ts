// The two ends of a WebSocket's audio, on the audio thread: what is played is counted to the sample here.

/// <reference lib="webworker" />

import type { FromPlayer, ToPlayer } from "./socket-messages.js";

declare const currentTime: number;
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** Samples over which a pause fades out and a resumption in: 4 ms, so that neither clicks. */
const FADE = 192;
/** Between two reports of the position: 21 ms. */
const REPORT_EVERY = 1_024;
/** Pieces of 20 ms: more than half a minute ahead is not of a server that keeps time. */
const MOST_WAITING = 1_500;

interface Piece {
  readonly number: number;
  readonly start: number;
  readonly samples: Int16Array;
}

class Player extends AudioWorkletProcessor {
  private queue: Piece[] = [];
  private offset = 0;
  private paused = false;
  /** Samples of a fade that are left: out while `stopping`, in otherwise. */
  private fade = 0;
  private stopping = false;
  private cleared = 0;
  private number = 0;
  private sample = 0;
  private unreported = 0;
  /** Of the reply that was paused last. */
  private asked = 0;
  private ended = false;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<ToPlayer>) => this.told(event.data);
  }

  private told(message: ToPlayer): void {
    switch (message.kind) {
      case "audio":
        if (message.number <= this.cleared) break;
        this.queue.push({ number: message.number, start: message.start, samples: new Int16Array(message.pcm) });
        if (this.queue.length > MOST_WAITING) this.drop(1);
        break;
      case "begin":
        this.forget(message.number - 1);
        break;
      case "pause":
        this.asked = message.number;
        if (this.paused) this.stopped();
        else this.stop();
        break;
      case "resume":
        if (this.stopping) this.stopped();
        this.paused = this.stopping = false;
        this.fade = FADE;
        break;
      case "clear":
        this.asked = message.number;
        this.forget(message.number);
        this.stopped();
        break;
      case "end":
        this.ended = true;
        this.queue = [];
        break;
    }
  }

  /** Drop replies up to this one; a later one that waits, or plays, is left as it is. */
  private forget(number: number): void {
    this.cleared = Math.max(this.cleared, number);
    const gone = this.queue.filter((piece) => piece.number <= number).length;
    if (gone > 0) this.drop(gone);
    if (this.queue.length > 0 && gone === 0) return;
    this.paused = this.stopping = false;
    this.fade = 0;
  }

  /** They are in order. */
  private drop(pieces: number): void {
    this.queue.splice(0, pieces);
    this.offset = 0;
  }

  private stop(): void {
    if (this.stopping) return;
    if (this.queue.length === 0) {
      this.paused = true;
      this.stopped();
      return;
    }
    this.stopping = true;
    this.fade = FADE;
  }

  private stopped(): void {
    this.post({ kind: "stopped", number: this.asked, sample: this.number === this.asked ? this.sample : 0 });
  }

  private post(message: FromPlayer): void {
    this.port.postMessage(message);
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const block = outputs[0]?.[0];
    if (this.ended || !block) return !this.ended;
    let played = 0;
    for (let at = 0; at < block.length; at += 1) {
      if (this.paused) break;
      const piece = this.queue[0];
      if (!piece) {
        if (this.stopping) this.halt();
        break;
      }
      block[at] = ((piece.samples[this.offset] as number) / 32_768) * this.gain();
      this.number = piece.number;
      this.sample = piece.start + this.offset + 1;
      this.offset += 1;
      played += 1;
      if (this.offset >= piece.samples.length) {
        this.queue.shift();
        this.offset = 0;
      }
      if (this.stopping && this.fade === 0) this.halt();
    }
    this.unreported += block.length;
    if (this.unreported >= REPORT_EVERY) {
      this.unreported = 0;
      this.post({ kind: "at", number: this.number, sample: this.sample, time: currentTime + block.length / sampleRate, playing: played > 0 });
    }
    return true;
  }

  private gain(): number {
    if (this.fade === 0) return 1;
    this.fade -= 1;
    return this.stopping ? this.fade / FADE : 1 - this.fade / FADE;
  }

  private halt(): void {
    this.stopping = false;
    this.paused = true;
    this.fade = 0;
    this.stopped();
  }
}

/** Thirds of the 48 kHz: speech needs no more, and an uplink has less to carry. */
const EVERY = 3;
/** 10 ms at 16 kHz. */
const FRAME = 160;
const TAPS = 63;
/** Of the lower rate; below its half, so that nothing folds back. */
const CUTOFF = 0.45;

/** A windowed sinc of unit gain. */
function lowpass(): Float32Array {
  const middle = (TAPS - 1) / 2;
  const taps = Float32Array.from({ length: TAPS }, (_, tap) => {
    const x = ((tap - middle) * CUTOFF) / EVERY;
    const sinc = x === 0 ? 1 : Math.sin(2 * Math.PI * x) / (2 * Math.PI * x);
    const window = 0.42 - 0.5 * Math.cos((2 * Math.PI * tap) / (TAPS - 1)) + 0.08 * Math.cos((4 * Math.PI * tap) / (TAPS - 1));
    return sinc * window;
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

class Capture extends AudioWorkletProcessor {
  private readonly taps = lowpass();
  private readonly past = new Float32Array(TAPS);
  private at = 0;
  private phase = 0;
  private frame = new Int16Array(FRAME);
  private filled = 0;
  private ended = false;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<ToPlayer>) => {
      this.ended = event.data.kind === "end";
    };
  }

  process(inputs: Float32Array[][]): boolean {
    const samples = inputs[0]?.[0];
    if (this.ended || !samples) return !this.ended;
    for (const sample of samples) {
      this.past[this.at] = sample;
      this.at = (this.at + 1) % TAPS;
      this.phase = (this.phase + 1) % EVERY;
      if (this.phase === 0) this.keep();
    }
    return true;
  }

  private keep(): void {
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap += 1) sum += (this.past[(this.at + tap) % TAPS] as number) * (this.taps[tap] as number);
    this.frame[this.filled] = Math.max(-32_768, Math.min(32_767, Math.round(sum * 32_767)));
    this.filled += 1;
    if (this.filled < FRAME) return;
    const { buffer } = this.frame;
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.port.postMessage(buffer, [buffer]);
  }
}

registerProcessor("player", Player);
registerProcessor("capture", Capture);
