// What a server offers: ways to connect, models, voices.

import { ask, type ServerAddress } from "./connection/server.js";

export type TransportName = "webrtc" | "websocket" | "livekit";

const TRANSPORTS: readonly TransportName[] = ["webrtc", "livekit", "websocket"];

export interface Offers {
  /** Those that a browser can use, in the server's order. */
  readonly transports: readonly TransportName[];
  /** Which models hear ("ears"), speak ("voice"), know the end of a turn ("turn") and answer ("llm"). */
  readonly models: Readonly<Record<string, string>>;
}

export interface VoiceModel {
  readonly model_id: string;
  readonly family: string;
  readonly languages: readonly string[];
  readonly speakers: readonly string[];
  readonly state: "available" | "loading" | "resident" | "evicting" | "failed";
  readonly is_default: boolean;
  readonly error: string;
  readonly real_time_factor?: number;
  /** Seconds that its last load took, on the slowest worker; 0 or left out where it has not been loaded yet. */
  readonly load_seconds?: number;
  /** Of the weights. */
  readonly licence?: string;
  /** Estimated, in memory; 0 when unknown. */
  readonly memory_bytes?: number;
}

/** Raises a ServerProblem. */
export async function fetchOffers(address: ServerAddress): Promise<Offers> {
  const response = await ask(address, "v1/client");
  const offered = (await response.json()) as { transports?: string[]; models?: Record<string, string> };
  // A page can not use every way that a server offers to programs.
  const known = (name: string): name is TransportName => (TRANSPORTS as readonly string[]).includes(name);
  return { transports: (offered.transports ?? ["webrtc"]).filter(known), models: offered.models ?? {} };
}

/** The voices there are. Raises a ServerProblem. */
export async function fetchModels(address: ServerAddress): Promise<VoiceModel[]> {
  const response = await ask(address, "v1/models");
  return ((await response.json()) as { models: VoiceModel[] }).models;
}

/** Resolves when it is out of memory. Raises a ServerProblem, such as while somebody speaks with it. */
export async function unloadModel(address: ServerAddress, modelId: string): Promise<void> {
  await ask(address, `v1/models/${encodeURIComponent(modelId)}/unload`, { method: "POST" });
}

/** A text, spoken, as a WAV file. Raises a ServerProblem. */
export async function speak(address: ServerAddress, voice: { model: string; speaker: string }, text: string): Promise<ArrayBuffer> {
  const body = JSON.stringify({ model: voice.model, voice: voice.speaker || voice.model, input: text, response_format: "wav" });
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  return (await ask(address, "v1/audio/speech", request)).arrayBuffer();
}

/** Resolves when the model speaks. Raises a ServerProblem. */
export async function loadModel(address: ServerAddress, modelId: string): Promise<void> {
  await ask(address, `v1/models/${encodeURIComponent(modelId)}/load`, { method: "POST" });
}
