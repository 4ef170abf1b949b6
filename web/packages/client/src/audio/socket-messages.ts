// What passes between a WebSocket connection and its audio thread.

export type ToPlayer =
  | { kind: "audio"; number: number; start: number; pcm: ArrayBuffer }
  /** A reply begins: what is left of those before it is of no use any more. */
  | { kind: "begin"; number: number }
  | { kind: "pause"; number: number }
  | { kind: "resume" }
  | { kind: "clear"; number: number }
  /** Nothing more comes: both ends stop working. */
  | { kind: "end" };

export type FromPlayer =
  /** So far it is at `time` of the audio clock. */
  | { kind: "at"; number: number; sample: number; time: number; playing: boolean }
  /** Answers a pause or a clear of this reply, once it is silent: one past the last of its samples that sounded. */
  | { kind: "stopped"; number: number; sample: number };

export type Place = Extract<FromPlayer, { kind: "at" }>;

/** Seconds for which a player that played goes on playing, for all that is known. */
const LONGEST_WITHOUT_NEWS = 0.05;
const RATE = 48_000;

/** The place after this news; where nothing has sounded since, the last sound is as old as it was. */
export function placeAfter(place: Place | null, news: Place): Place {
  const same = place?.number === news.number && place.sample === news.sample;
  return same ? { ...place, playing: false } : news;
}

/** One past the last sample heard: what was played sounds `latency` seconds later, all of it in the end. */
export function heardAt(place: Place, now: number, latency: number): number {
  const passed = now - place.time - latency;
  return Math.round(place.sample + Math.min(passed, place.playing ? LONGEST_WITHOUT_NEWS : 0) * RATE);
}

export interface AgentFrame {
  readonly number: number;
  readonly start: number;
  readonly pcm: ArrayBuffer;
}

const AGENT = 2;
const HEADER = 16;
const MICROPHONE_HEADER = 4;

/** One binary message of the server, or null for what is none of ours. */
export function unpackAgent(data: ArrayBuffer): AgentFrame | null {
  if (data.byteLength < HEADER) return null;
  const view = new DataView(data);
  if (view.getUint8(0) !== AGENT) return null;
  return { number: view.getUint32(4, true), start: Number(view.getBigUint64(8, true)), pcm: data.slice(HEADER) };
}

/** Microphone samples behind their header. */
export function packMicrophone(pcm: ArrayBuffer): ArrayBuffer {
  const message = new Uint8Array(MICROPHONE_HEADER + pcm.byteLength);
  message[0] = 1;
  message.set(new Uint8Array(pcm), MICROPHONE_HEADER);
  return message.buffer;
}
