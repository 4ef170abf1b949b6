// Measures what passes through: level every 10 ms, whether somebody has started to speak, and where a
// silent stream becomes audible.
// Runs on the audio thread, so its clock is the sound's own.

/// <reference lib="webworker" />

declare const currentTime: number;
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** How far above the noise a block must be, as a factor of amplitude: 9 dB. */
const OVER_NOISE = 2.8;
/** Blocks in a row that make an onset: 30 ms. */
const ONSET_BLOCKS = 3;
/** Nothing below this is speech, however quiet the room: -50 dBFS. */
const SILENCE = 0.00316;

class Meter extends AudioWorkletProcessor {
  private readonly block = Math.round(sampleRate / 100);
  private sum = 0;
  private count = 0;
  private floor = SILENCE;
  private loud = 0;

  process(inputs: Float32Array[][]): boolean {
    const samples = inputs[0]?.[0];
    if (!samples) return true;
    for (const sample of samples) {
      this.sum += sample * sample;
      this.count += 1;
      if (this.count === this.block) this.measured();
    }
    return true;
  }

  private measured(): void {
    const level = Math.sqrt(this.sum / this.count);
    this.sum = this.count = 0;
    const voiced = level > Math.max(SILENCE, this.floor * OVER_NOISE);
    this.loud = voiced ? this.loud + 1 : 0;
    // The floor falls at once and rises slowly, so that speech does not become the noise.
    this.floor = level < this.floor ? level : Math.min(this.floor * 1.005 + 1e-6, 0.05);
    this.port.postMessage({ level, voiced, onset: this.loud === ONSET_BLOCKS, time: currentTime });
  }
}

/** Above this a sample is loud: -40 dBFS, as the server has it. */
const LOUD = 0.01;
/** A stream that was quiet for less than this, in seconds, only drew breath. */
const PAUSE = 0.03;

class Onsets extends AudioWorkletProcessor {
  private readonly pause = Math.round(sampleRate * PAUSE);
  private quiet = 0;

  process(inputs: Float32Array[][]): boolean {
    const samples = inputs[0]?.[0];
    if (!samples) {
      this.quiet += 128;
      return true;
    }
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample) <= LOUD) {
        this.quiet += 1;
        continue;
      }
      if (this.quiet >= this.pause) this.port.postMessage(currentTime + index / sampleRate);
      this.quiet = 0;
    }
    return true;
  }
}

registerProcessor("meter", Meter);
registerProcessor("onsets", Onsets);
