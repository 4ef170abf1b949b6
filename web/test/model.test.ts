import { describe, expect, it } from "vitest";

import { initial, mood, reduce, stateInWords, type Model, type ModelEvent, type ServerMessage, type ToolState, type Voice, type VoiceModel } from "@parley/client";
import { stepsOf } from "../src/view/latency";
import { describe as describeModel, optionFor, optionsOf, voiceOf } from "../src/voices";

const voice: Voice = { model: "espeak-en", speaker: "", language: "en", speed: 1, lora: "" };

function after(...events: (ServerMessage | ModelEvent)[]): Model {
  return events.reduce(reduce, initial);
}

const started: ServerMessage = { type: "started", session_id: "s", voice, resumed: false };
const reply: ServerMessage = { type: "reply", utterance_id: "u1", turn: 1, voice, number: 1 };
const state = (agent: "listening" | "speaking" | "barged_in" | "thinking"): ServerMessage => ({
  type: "state",
  participant: "silent",
  agent,
  event: "",
});
const clear: ServerMessage = { type: "clear", utterance_id: "u1" };
const partial = (text: string, final = false, backchannel = false): ServerMessage => ({
  type: "transcript",
  turn: 1,
  text,
  final,
  stable: 0,
  backchannel,
});

describe("the transcript", () => {
  it("replaces a partial by the final text in one entry", () => {
    const { entries } = after(started, partial("what"), partial("what time"), partial("What time is it?", true));
    expect(entries.map((entry) => [entry.text, entry.done])).toEqual([["What time is it?", true]]);
  });

  it("keeps a nod beside the turn it did not become", () => {
    const { entries } = after(started, partial("mhm", true, true), partial("stop", true));
    expect(entries.map((entry) => [entry.text, entry.nod])).toEqual([["mhm", true], ["stop", false]]);
  });

  it("removes an entry whose final transcript is empty", () => {
    expect(after(started, partial("uh"), partial("", true)).entries).toEqual([]);
  });

  it("keeps the heard part of an interrupted reply apart from the rest", () => {
    const { entries } = after(
      started,
      reply,
      { type: "reply_text", utterance_id: "u1", text: "Once upon " },
      { type: "reply_text", utterance_id: "u1", text: "a time." },
      { type: "reply_end", utterance_id: "u1", outcome: "interrupted", text: "Once upon a time.", heard_text: "Once upon", heard_sample: 9600 },
    );
    expect(entries[0]).toMatchObject({ text: "Once upon a time.", heard: "Once upon", done: true });
  });

  it("keeps the replies of a session that was resumed apart from those before, though their names repeat", () => {
    const text: ServerMessage = { type: "reply_text", utterance_id: "u1", text: "Hello." };
    const model = after(started, reply, text, { ...started, session_id: "t", resumed: true }, reply, text);

    expect(model.entries.map((entry) => entry.text)).toEqual(["Hello.", "Hello."]);
  });

  it("shows a call of a tool in one entry that says where it stands", () => {
    const tool = (turn: number, state: ToolState): ServerMessage => ({ type: "tool", call_id: "c1", turn, name: "open_door", state });
    const { entries } = after(started, tool(1, "unconfirmed"), tool(2, "running"), tool(2, "done"));
    expect(entries.map((entry) => [entry.who, entry.text, entry.tool, entry.done])).toEqual([
      ["tool", "open_door", "unconfirmed", true],
      ["tool", "open_door", "done", true],
    ]);
    expect(after(started, tool(1, "running")).entries[0]?.done).toBe(false);
  });

  it("never grows without bound", () => {
    const many = Array.from({ length: 500 }, (_, turn): ServerMessage => ({ ...reply, utterance_id: `u${turn}` }) as ServerMessage);
    expect(after(started, ...many).entries.length).toBe(200);
  });
});

describe("captions", () => {
  const text: ServerMessage = { type: "reply_text", utterance_id: "u1", text: "Once upon" };
  const words: ServerMessage = {
    type: "words",
    utterance_id: "u1",
    marks: [
      { text_start: 0, text_end: 4, start_sample: 0, end_sample: 100 },
      { text_start: 5, text_end: 9, start_sample: 100, end_sample: 200 },
    ],
  };
  const played = (sample: number): ModelEvent => ({ type: "played", utterance_id: "u1", sample });

  it("follow what was heard", () => {
    expect(after(started, reply, text, words, played(150)).entries[0]?.place).toEqual({ from: 5, to: 9 });
  });

  it("leave the page alone while a word goes on", () => {
    const model = after(started, reply, text, words, played(50));
    expect(reduce(model, played(60))).toBe(model);
  });

  it("end with the reply", () => {
    const end: ServerMessage = { type: "reply_end", utterance_id: "u1", outcome: "finished", text: "Once upon", heard_text: "", heard_sample: 200 };
    const entry = after(started, reply, text, words, played(50), end, played(150)).entries[0];
    expect([entry?.place, entry?.text]).toEqual([undefined, "Once upon"]);
  });
});

describe("the state", () => {
  it("stays interrupted while the agent listens after a barge-in", () => {
    const model = after(started, state("speaking"), state("barged_in"), clear, state("listening"));
    expect([mood(model), stateInWords(model)]).toEqual(["interrupted", "Interrupted"]);
  });

  it("is soft while a pause may still be undone", () => {
    const model = after(started, state("speaking"), state("barged_in"));
    expect([mood(model), stateInWords(model)]).toEqual(["yielding", "Go on…"]);
  });

  it("is no interruption when an answer that nobody heard is dropped", () => {
    expect(mood(after(started, state("thinking"), clear))).toBe("thinking");
  });

  it("is speaking again when a nod lets the reply go on", () => {
    expect(mood(after(started, state("speaking"), state("barged_in"), state("speaking")))).toBe("speaking");
  });

  it("says in words what the picture shows", () => {
    expect(stateInWords(after(started, state("thinking")))).toBe("Thinking");
    expect(stateInWords(initial)).toBe("Tap to talk");
  });
});

describe("the latency waterfall", () => {
  it("shows each step as what it adds to the one before", () => {
    const steps = stepsOf({ turn: 1, stages: [["vad", 40], ["endpoint", 200], ["llm", 230], ["tts", 240]], audible: 260 });
    expect(steps.map((step) => step.ms)).toEqual([40, 160, 30, 10, 20]);
  });

  it("keeps the first sound that was heard before the server told of the turn", () => {
    const model = after(started, reply, { type: "audible", ms: 250 }, { type: "latency", turn: 1, stages_ms: { sent: 230 } });
    expect(model.turns[0]?.audible).toBe(250);
  });

  it("never shows a step backwards in time", () => {
    const steps = stepsOf({ turn: 1, stages: [["endpoint", 200], ["llm", 150]], audible: 100 });
    expect(steps.every((step) => step.ms >= 0)).toBe(true);
  });
});

describe("the voice picker", () => {
  const model: VoiceModel = {
    model_id: "piper-amy",
    family: "piper",
    languages: ["en"],
    speakers: ["a", "b"],
    state: "available",
    is_default: false,
    error: "",
  };

  it("offers the model and each of its speakers", () => {
    expect(optionsOf([model]).map((option) => voiceOf(option.value))).toEqual([
      { model: "piper-amy", speaker: "" },
      { model: "piper-amy", speaker: "a" },
      { model: "piper-amy", speaker: "b" },
    ]);
  });

  it("says where a voice is slower than real time", () => {
    expect(describeModel({ ...model, real_time_factor: 0.4 })).toBe("piper-amy: on disk; it is loaded when you choose it");
    expect(describeModel({ ...model, state: "resident", real_time_factor: 1.33 })).toContain("ready; slower than real time");
  });

  it("shows the voice that speaks, after another one was refused", () => {
    const options = optionsOf([model, { ...model, model_id: "piper-joe", speakers: [] }]);
    expect(optionFor(options, { model: "piper-amy", speaker: "b" })?.label).toBe("piper-amy · b (on disk)");
    expect(optionFor(options, { model: "piper-joe", speaker: "nobody" })?.value).toBe("piper-joe");
    expect(optionFor(options, null)).toBeUndefined();
  });
});
