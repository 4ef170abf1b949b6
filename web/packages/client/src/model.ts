// What a page shows, as a pure function of what happened. No DOM, no clocks.

import { BEGINNING, placeOf, type Place } from "./captions.js";
import type { TroubleCode } from "./problems.js";
import type { AgentState, Mark, ParticipantState, ServerMessage, ToolState, Voice } from "./protocol.js";

export type Link = "offline" | "connecting" | "online" | "reconnecting";

export interface Entry {
  readonly id: string;
  readonly who: "you" | "agent" | "note" | "tool";
  readonly text: string;
  /** The part of an interrupted reply that was heard; null when all of it was. */
  readonly heard: string | null;
  readonly done: boolean;
  readonly nod: boolean;
  /** Where a call of a tool stands; its name is the text. */
  readonly tool?: ToolState;
  /** Of a reply that is being spoken: where its words are, and which of them sounds. */
  readonly marks?: readonly Mark[];
  readonly place?: Place;
}

export interface Turn {
  readonly turn: number;
  readonly stages: ReadonlyArray<readonly [string, number]>;
  /** Speech end to first audible sample, on this page's own clock; null until heard. */
  readonly audible: number | null;
}

export interface Model {
  readonly link: Link;
  readonly agent: AgentState;
  readonly participant: ParticipantState;
  /** True from an interruption that took the floor until the agent speaks or thinks again. */
  readonly interrupted: boolean;
  readonly sessionId: string;
  readonly voice: Voice | null;
  readonly entries: readonly Entry[];
  readonly turns: readonly Turn[];
  /** Heard before the server has said where the time went; goes to the next turn it tells of. */
  readonly pendingAudible: number | null;
  readonly utterance: string;
  /** A sentence that says what to do; empty where nothing is wrong. */
  readonly error: string;
  /** What it is about: a code of ours, or of the server's `error` message; empty where nothing is wrong. */
  readonly trouble: string;
  readonly notice: string;
  /** The browser holds the sound back until the person taps. */
  readonly suspended: boolean;
}

/** The notice of a conversation that goes on. */
export const WELCOME_BACK = "Welcome back.";

export const initial: Model = {
  link: "offline",
  agent: "idle",
  participant: "silent",
  interrupted: false,
  sessionId: "",
  voice: null,
  entries: [],
  turns: [],
  pendingAudible: null,
  utterance: "",
  error: "",
  trouble: "",
  notice: "",
  suspended: false,
};

/** Oldest entries leave first: a page that is open all day stays light. */
const MOST_ENTRIES = 200;
const MOST_TURNS = 20;

export type ModelEvent =
  | { type: "link"; link: Link; notice?: string }
  | { type: "problem"; text: string; code?: TroubleCode }
  | { type: "typed"; text: string }
  | { type: "audible"; ms: number }
  | { type: "suspended"; suspended: boolean }
  /** So much of an utterance was heard, on this page's own clock. */
  | { type: "played"; utterance_id: string; sample: number };

export function reduce(model: Model, event: ServerMessage | ModelEvent): Model {
  switch (event.type) {
    case "link":
      return linkChanged(model, event.link, event.notice ?? "");
    case "problem":
      return model.error === event.text ? model : { ...model, error: event.text, trouble: event.text && (event.code ?? "other") };
    case "typed":
      return add(model, { id: `typed-${model.entries.length}`, who: "you", text: event.text, heard: null, done: true, nod: false });
    case "audible":
      return audible(model, event.ms);
    case "started":
      return { ...model, sessionId: event.session_id, voice: event.voice, link: "online", notice: event.resumed ? WELCOME_BACK : "" };
    case "suspended":
      return model.suspended === event.suspended ? model : { ...model, suspended: event.suspended };
    case "played":
      return played(model, event.utterance_id, event.sample);
    case "state":
      return {
        ...model,
        agent: event.agent,
        participant: event.participant,
        interrupted: model.interrupted && (event.agent === "barged_in" || event.agent === "listening"),
      };
    case "clear":
      return model.agent === "thinking" ? model : { ...model, interrupted: true };
    case "transcript":
      return transcript(model, event.turn, event.text, event.final, event.backchannel);
    case "reply":
      return add(
        { ...model, utterance: event.utterance_id, pendingAudible: null },
        { id: replyId(model, event.utterance_id), who: "agent", text: "", heard: null, done: false, nod: false, marks: [], place: BEGINNING },
      );
    case "words":
      return update(model, replyId(model, event.utterance_id), (entry) => ({ ...entry, marks: [...(entry.marks ?? []), ...event.marks] }));
    case "reply_text":
      return update(model, replyId(model, event.utterance_id), (entry) => ({ ...entry, text: entry.text + event.text }));
    case "reply_end":
      return replyEnded(model, event);
    case "tool":
      return toolCalled(model, event);
    case "latency":
      return turnMeasured(model, event.turn, event.stages_ms);
    case "voice":
      return { ...model, voice: event.voice, notice: event.note };
    case "error":
      return { ...model, error: event.message, trouble: event.code };
    case "ended":
      if (event.resume) return model;
      return { ...model, agent: "terminated", notice: event.reason };
    default:
      return model;
  }
}

function linkChanged(model: Model, link: Link, notice: string): Model {
  const settled = link === "online" || link === "offline";
  return {
    ...model,
    link,
    notice,
    error: link === "connecting" ? "" : model.error,
    trouble: link === "connecting" ? "" : model.trouble,
    agent: settled && link === "online" ? model.agent : "idle",
    participant: "silent",
    interrupted: false,
  };
}

function add(model: Model, entry: Entry): Model {
  if (model.entries.some((known) => known.id === entry.id)) return model;
  return { ...model, entries: [...model.entries, entry].slice(-MOST_ENTRIES) };
}

function update(model: Model, id: string, change: (entry: Entry) => Entry): Model {
  return { ...model, entries: model.entries.map((entry) => (entry.id === id ? change(entry) : entry)) };
}

function transcript(model: Model, turn: number, text: string, final: boolean, nod: boolean): Model {
  const id = `turn-${model.sessionId}-${turn}${nod ? "-nod" : ""}`;
  const known = model.entries.find((entry) => entry.id === id);
  if (final && !text) return { ...model, entries: model.entries.filter((entry) => entry.id !== id) };
  if (!known) {
    if (!text) return model;
    return add(model, { id, who: "you", text, heard: null, done: final, nod });
  }
  return update(model, id, (entry) => ({ ...entry, text, done: final }));
}

function toolCalled(model: Model, event: Extract<ServerMessage, { type: "tool" }>): Model {
  const id = `tool-${model.sessionId}-${event.turn}-${event.call_id}`;
  const done = event.state !== "running" && event.state !== "left";
  const known = model.entries.some((entry) => entry.id === id);
  if (known) return update(model, id, (entry) => ({ ...entry, tool: event.state, done }));
  return add(model, { id, who: "tool", text: event.name, heard: null, done, nod: false, tool: event.state });
}

/** Utterances are counted anew in each session, and a page outlives its session when the link breaks. */
function replyId(model: Model, utterance: string): string {
  return `reply-${model.sessionId}-${utterance}`;
}

function replyEnded(model: Model, event: Extract<ServerMessage, { type: "reply_end" }>): Model {
  const id = replyId(model, event.utterance_id);
  return update(model, id, ({ marks: _marks, place: _place, ...entry }) => ({
    ...entry,
    text: event.text || entry.text,
    heard: event.outcome === "finished" ? null : event.heard_text,
    done: true,
  }));
}

function played(model: Model, utterance: string, sample: number): Model {
  const id = replyId(model, utterance);
  const entry = model.entries.findLast((known) => known.id === id);
  if (!entry?.place || !entry.marks) return model;
  const place = placeOf(entry.text, entry.marks, sample);
  if (place.from === entry.place.from && place.to === entry.place.to) return model;
  return update(model, id, (known) => ({ ...known, place }));
}

function turnMeasured(model: Model, turn: number, stages: Record<string, number>): Model {
  const known = model.turns.find((entry) => entry.turn === turn);
  const next: Turn = { turn, stages: Object.entries(stages), audible: known?.audible ?? model.pendingAudible };
  const turns = [...model.turns.filter((entry) => entry.turn !== turn), next].slice(-MOST_TURNS);
  return { ...model, turns, pendingAudible: null };
}

function audible(model: Model, ms: number): Model {
  const last = model.turns.at(-1);
  if (!last || last.audible !== null) return { ...model, pendingAudible: ms };
  return { ...model, turns: [...model.turns.slice(0, -1), { ...last, audible: ms }] };
}

/** The state in words: what a person who cannot see the picture needs to know. */
export function stateInWords(model: Model): string {
  switch (mood(model)) {
    case "offline":
      return model.agent === "terminated" && model.link === "online" ? "Ended" : "Tap to talk";
    case "waiting":
      return model.link === "connecting" ? "Connecting…" : "Reconnecting…";
    case "yielding":
      return "Go on…";
    case "interrupted":
      return "Interrupted";
    case "thinking":
      return "Thinking";
    case "speaking":
      return "Speaking";
    default:
      return "Listening";
  }
}

export type Mood = "offline" | "waiting" | "listening" | "thinking" | "speaking" | "yielding" | "interrupted";

/** One word for styling: the picture and the words never disagree. A pause that may be undone is no interruption. */
export function mood(model: Model): Mood {
  if (model.link === "offline" || model.agent === "terminated") return "offline";
  if (model.link !== "online") return "waiting";
  if (model.interrupted) return "interrupted";
  if (model.agent === "barged_in") return "yielding";
  if (model.agent === "thinking") return "thinking";
  if (model.agent === "speaking") return "speaking";
  return "listening";
}
