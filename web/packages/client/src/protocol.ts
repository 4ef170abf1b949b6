// The messages of a session, as docs/reference/websocket.md has them.
// Samples are counted at 48 kHz from the first sample of an utterance.

export const PROTOCOL_VERSION = 1;
/** Of the agent's voice, in Hz. */
export const SAMPLE_RATE = 48_000;

export type ParticipantState = "silent" | "speaking";
export type AgentState = "idle" | "listening" | "thinking" | "speaking" | "barged_in" | "terminated";
export type ToolState = "running" | "left" | "done" | "failed" | "refused" | "unconfirmed" | "cancelled";
export type ReplyOutcome = "finished" | "interrupted" | "failed";
export type DecisionOutcome = "take_floor" | "backchannel" | "noise" | "echo";

export interface Voice {
  model: string;
  speaker: string;
  language: string;
  speed: number;
  lora: string;
}

/** Where a word stands, in code points of the reply's text and in its samples. */
export interface Mark {
  readonly text_start: number;
  readonly text_end: number;
  readonly start_sample: number;
  readonly end_sample: number;
}

export type ClientMessage =
  | {
      type: "start";
      protocol: number;
      sample_rate: number;
      voice?: Partial<Voice>;
      playout_reports?: boolean;
      echo_cancelled?: boolean;
      resume_session?: string;
    }
  | { type: "text"; text: string }
  | { type: "playout"; utterance_id: string; sample: number; stopped: boolean }
  | { type: "set_voice"; voice: Partial<Voice> }
  | { type: "interrupt" }
  | { type: "end_turn" }
  | { type: "ping"; id: number }
  | { type: "end" };

export type ServerMessage =
  | { type: "started"; session_id: string; voice: Voice; resumed: boolean }
  | { type: "state"; participant: ParticipantState; agent: AgentState; event: string }
  | { type: "transcript"; turn: number; text: string; final: boolean; stable: number; backchannel: boolean }
  | { type: "reply"; utterance_id: string; turn: number; voice: Voice; number: number }
  | { type: "reply_text"; utterance_id: string; text: string }
  | { type: "words"; utterance_id: string; marks: readonly Mark[] }
  | {
      type: "reply_end";
      utterance_id: string;
      outcome: ReplyOutcome;
      text: string;
      heard_text: string;
      heard_sample: number;
    }
  | { type: "pause"; utterance_id: string }
  | { type: "resume"; utterance_id: string }
  | { type: "clear"; utterance_id: string }
  | { type: "anchor"; utterance_id: string; sample: number; rtp_timestamp: number }
  | { type: "onset"; utterance_id: string; sample: number }
  | { type: "decision"; utterance_id: string; outcome: DecisionOutcome; reasons: string[] }
  | { type: "latency"; turn: number; stages_ms: Record<string, number> }
  | { type: "tool"; call_id: string; turn: number; name: string; state: ToolState }
  | { type: "voice"; voice: Voice; note: string }
  | { type: "pong"; id: number }
  | { type: "error"; code: string; message: string; fatal: boolean }
  | { type: "ended"; reason: string; resume?: boolean };

/** Returns the message, or null for what is no message of ours (a newer server may know more). */
export function parseServerMessage(data: string): ServerMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || typeof (value as { type?: unknown }).type !== "string") return null;
  return value as ServerMessage;
}
