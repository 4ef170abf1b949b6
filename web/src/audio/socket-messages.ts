// What passes between a WebSocket connection and its audio thread.

export type ToPlayer =
  | { kind: "audio"; number: number; start: number; pcm: ArrayBuffer }
  | { kind: "pause" }
  | { kind: "resume" }
  | { kind: "clear"; number: number };

export type FromPlayer =
  /** So far it is at `time` of the audio clock. */
  | { kind: "at"; number: number; sample: number; time: number; playing: boolean }
  /** Answers a pause or a clear, once it is silent: one past the last sample that sounded. */
  | { kind: "stopped"; number: number; sample: number };

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
