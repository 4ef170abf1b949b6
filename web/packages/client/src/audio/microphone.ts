// The microphone: opened, muted, watched. What is wrong with it is told in words.

import { microphoneProblem, MUTED_BY_SYSTEM, NARROW_MICROPHONE, SILENT_MICROPHONE, type Trouble } from "../problems.js";
import type { Reading } from "./audio.js";

/** Digital silence: below -100 dBFS. */
const NO_SOUND = 1e-5;
/** What browsers say of a device that is not there. */
const GONE = new Set(["OverconstrainedError", "NotFoundError"]);
/** Seconds of it before it is told. */
const SILENT_FOR = 6;

export interface MicrophoneHandlers {
  trouble(trouble: Trouble): void;
  /** This one is over. */
  mended(trouble: Trouble): void;
  /** Unplugged, or taken away by the system. */
  gone(): void;
}

export class Microphone {
  stream: MediaStream | null = null;
  private silenced = false;
  /** Audio-clock time since which it gives nothing at all: 0 before that, Infinity once it was heard. */
  private silentSince = 0;
  /** Counts the tries: one that was overtaken, or left, lets go of what it gets. */
  private asked = 0;
  private readonly handlers: MicrophoneHandlers;

  constructor(handlers: MicrophoneHandlers) {
    this.handlers = handlers;
  }

  get track(): MediaStreamTrack | null {
    return this.stream?.getAudioTracks()[0] ?? null;
  }

  get muted(): boolean {
    return this.silenced;
  }

  set muted(muted: boolean) {
    this.silenced = muted;
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Open this one, or the usual one for an empty `device`, instead of the one before; null when none can be had, which is told. */
  async open(device: string): Promise<MediaStream | null> {
    this.close();
    const asked = this.asked;
    try {
      const stream = await openMicrophone(device);
      if (asked !== this.asked) {
        stop(stream);
        return null;
      }
      this.stream = stream;
      this.silentSince = 0;
      this.watch(stream.getAudioTracks()[0]);
      this.muted = this.silenced;
    } catch (error) {
      if (asked === this.asked) this.handlers.trouble(microphoneProblem(error));
    }
    const { track } = this;
    if (track && narrow(track.label, track.getSettings().sampleRate)) this.handlers.trouble(NARROW_MICROPHONE);
    return this.stream;
  }

  private watch(track: MediaStreamTrack | undefined): void {
    if (!track) return;
    track.addEventListener("ended", () => {
      if (this.track === track) this.handlers.gone();
    });
    track.addEventListener("mute", () => this.handlers.trouble(MUTED_BY_SYSTEM));
    track.addEventListener("unmute", () => this.handlers.mended(MUTED_BY_SYSTEM));
  }

  /** One that has never given any sound is switched off, or not the one spoken into. Once it has, silence may be what
   * a suppressor of noise makes of a quiet room. */
  hear(reading: Reading): void {
    if (this.silentSince === Infinity || this.silenced) return;
    if (reading.level > NO_SOUND) {
      this.silentSince = Infinity;
      this.handlers.mended(SILENT_MICROPHONE);
      return;
    }
    this.silentSince ||= reading.time;
    if (reading.time - this.silentSince > SILENT_FOR) this.handlers.trouble(SILENT_MICROPHONE);
  }

  close(): void {
    this.asked += 1;
    if (this.stream) stop(this.stream);
    this.stream = null;
  }
}

/** Bluetooth carries a microphone only with 8 or 16 kHz, and then the loudspeaker, too. Browsers tell the rate, or the
 * system the mode in the device's name. */
export function narrow(label: string, rate: number | undefined): boolean {
  if (/hands-?free|\b(HFP|HSP)\b/i.test(label)) return true;
  return rate !== undefined && rate > 0 && rate <= 16_000 && /bluetooth|airpods|buds|headset/i.test(label);
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** This one, or the usual one where it is not there any more. A mere wish for one is not heeded by every browser. */
async function openMicrophone(deviceId: string): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new TypeError("insecure context");
  const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  if (deviceId) {
    try {
      return await navigator.mediaDevices.getUserMedia({ audio: { ...wanted, deviceId: { exact: deviceId } } });
    } catch (error) {
      if (!GONE.has((error as { name?: string }).name ?? "")) throw error;
    }
  }
  return navigator.mediaDevices.getUserMedia({ audio: wanted });
}

/** Those there are; browsers name them only once one of them is open. */
export async function microphones(): Promise<MediaDeviceInfo[]> {
  return devicesOf("audioinput");
}

/** Those there are, named once a microphone is open; none where this browser can choose none. */
export async function loudspeakers(): Promise<MediaDeviceInfo[]> {
  return "setSinkId" in AudioContext.prototype ? devicesOf("audiooutput") : [];
}

async function devicesOf(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === kind);
}

/** From now on, call `listener` when a microphone comes or goes. Returns what ends it. */
export function onMicrophones(listener: () => void): () => void {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  devices?.addEventListener("devicechange", listener);
  return () => devices?.removeEventListener("devicechange", listener);
}
