// A session's sound: microphone in, the agent's voice out, and the levels of both.

import meter from "./meter.worklet.ts?worklet";
import { addWorklet } from "./worklet.js";

export interface Reading {
  /** Root mean square, 0 to 1. */
  readonly level: number;
  readonly voiced: boolean;
  /** True in the one block that makes an onset of speech. */
  readonly onset: boolean;
  /** Seconds on the audio clock. */
  readonly time: number;
}

/** Long enough not to click, short enough not to be heard as a fade. */
const FADE = 0.008;
const DUCKED = 0.12;
/** Milliseconds after which a local onset that the orchestrator has not confirmed was none. */
const DUCK_FOR = 600;
/** Milliseconds that a browser may take to begin with the sound. */
const RESUME_WITHIN = 1_000;

export class PageAudio {
  readonly context: AudioContext;
  /** What the listener hears: measure here. */
  readonly output: GainNode;
  readonly outputSpectrum: AnalyserNode;
  readonly inputSpectrum: AnalyserNode;
  onInput: (reading: Reading) => void = () => {};
  onOutput: (reading: Reading) => void = () => {};
  /** The agent's stream, however soft we make it, was silent and became audible at this time. */
  onSounded: (at: number) => void = () => {};
  /** The browser holds the sound back (true), or lets it go on. */
  onSuspended: (suspended: boolean) => void = () => {};
  private source: AudioNode | null = null;
  private microphone: MediaStreamAudioSourceNode | null = null;
  private inputMeter: AudioWorkletNode | null = null;
  private outputMeter: AudioWorkletNode | null = null;
  private onsets: AudioWorkletNode | null = null;
  private readonly element = new Audio();
  private silenced = false;
  private ducked = false;
  private duckTimer = 0;

  constructor() {
    this.context = new AudioContext({ latencyHint: "interactive", sampleRate: 48_000 });
    this.output = this.context.createGain();
    this.outputSpectrum = analyser(this.context);
    this.inputSpectrum = analyser(this.context);
    this.output.connect(this.outputSpectrum);
    this.output.connect(this.context.destination);
    // Browsers deliver a remote stream to Web Audio only while an element plays it too.
    this.element.muted = true;
  }

  async start(): Promise<void> {
    await addWorklet(this.context, meter);
    this.inputMeter = this.meter((reading) => this.onInput(reading));
    this.outputMeter = this.meter((reading) => this.onOutput(reading));
    this.output.connect(this.outputMeter);
    this.onsets = new AudioWorkletNode(this.context, "onsets", { numberOfOutputs: 0 });
    this.onsets.port.onmessage = (event: MessageEvent<number>) => this.onSounded(event.data);
    this.context.onstatechange = () => this.stateChanged();
    // Without a gesture some browsers never answer: the tap that is asked for then does.
    await Promise.race([this.context.resume(), new Promise((resolve) => setTimeout(resolve, RESUME_WITHIN))]);
    this.stateChanged();
  }

  private stateChanged(): void {
    if (this.context.state !== "closed") this.onSuspended(this.context.state !== "running");
  }

  /** From a gesture: let the sound go on. */
  async wake(): Promise<void> {
    if (this.context.state === "running" || this.context.state === "closed") return;
    await this.context.resume();
    if (this.element.srcObject) await this.element.play().catch(() => undefined);
  }

  /** Play there from now on; by the usual one for an empty id, and where this one cannot be had. */
  async playBy(loudspeaker: string): Promise<void> {
    const context = this.context as AudioContext & { setSinkId?(id: string): Promise<void> };
    await context.setSinkId?.(loudspeaker).catch(() => context.setSinkId?.("").catch(() => undefined));
  }

  private meter(tell: (reading: Reading) => void): AudioWorkletNode {
    const node = new AudioWorkletNode(this.context, "meter", { numberOfOutputs: 0 });
    node.port.onmessage = (event: MessageEvent<Reading>) => tell(event.data);
    return node;
  }

  listen(stream: MediaStream): void {
    this.microphone?.disconnect();
    this.microphone = this.context.createMediaStreamSource(stream);
    this.microphone.connect(this.inputSpectrum);
    if (this.inputMeter) this.microphone.connect(this.inputMeter);
  }

  play(sound: MediaStream | AudioNode): void {
    this.source?.disconnect();
    if (sound instanceof MediaStream) {
      this.element.srcObject = sound;
      void this.element.play().catch(() => undefined);
      this.source = this.context.createMediaStreamSource(sound);
    } else {
      this.element.srcObject = null;
      this.source = sound;
    }
    this.source.connect(this.output);
    if (this.onsets) this.source.connect(this.onsets);
  }

  /** Silent at once, for a pause or a clear. */
  silence(): void {
    this.silenced = true;
    this.apply();
  }

  /** Audible again: the reply goes on, or a new one begins. */
  sound(): void {
    this.silenced = false;
    this.ducked = false;
    window.clearTimeout(this.duckTimer);
    this.apply();
  }

  /** Soft while the orchestrator makes up its mind: reversible, so it may be quick and wrong, and ends by itself. */
  duck(on: boolean): void {
    window.clearTimeout(this.duckTimer);
    if (on) this.duckTimer = window.setTimeout(() => this.duck(false), DUCK_FOR);
    if (this.ducked === on) return;
    this.ducked = on;
    this.apply();
  }

  private apply(): void {
    const target = this.silenced ? 0 : this.ducked ? DUCKED : 1;
    const now = this.context.currentTime;
    const gain = this.output.gain;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(target, now + FADE);
  }

  async close(): Promise<void> {
    window.clearTimeout(this.duckTimer);
    this.element.srcObject = null;
    this.microphone?.disconnect();
    this.source?.disconnect();
    if (this.context.state !== "closed") await this.context.close();
  }
}

function analyser(context: AudioContext): AnalyserNode {
  const node = context.createAnalyser();
  node.fftSize = 512;
  node.smoothingTimeConstant = 0.75;
  return node;
}
