// One way to reach a session. A session knows no more about a transport than this.

import type { ServerProblem } from "../problems.js";
import type { ClientMessage, ServerMessage } from "../protocol.js";

export interface ConnectionHandlers {
  message(message: ServerMessage): void;
  /** The agent's voice, once; the session plays it. */
  voice(sound: MediaStream | AudioNode): void;
  /** The audio clock, in seconds. */
  now(): number;
  context(): AudioContext;
  /** The player has stopped there, and the server has been told. */
  stopped(sample: number): void;
  /** The link is gone without our having closed it. */
  lost(reason: string): void;
  /** The server will not have this session; trying again does not help. */
  refused(problem: ServerProblem): void;
}

export interface Connection {
  /** Resolves when messages can be sent. Rejects with a ServerProblem. */
  open(microphone: MediaStreamTrack | null): Promise<void>;
  send(message: ClientMessage): void;
  setMicrophone(track: MediaStreamTrack | null): Promise<void>;
  /** True when this transport can tell how far the listener has come. */
  readonly reports: boolean;
  /** True when it stops its own player and says where: nobody else answers a pause or a clear. */
  readonly answersPauses: boolean;
  /** Of the microphone's samples on the way to the server, in Hz; what a browser encodes itself is at 48 kHz. */
  readonly microphoneRate: number;
  /** One past the last sample of the utterance that was heard; null while nothing of it was. `now`: the audio clock. */
  heard(utterance: string, now: number): number | null;
  /** The agent's stream was silent and became audible at this time of the audio clock. */
  sounded(at: number): void;
  close(): Promise<void>;
}
