// A whole session over a connection and a sound that are made up, so that every order of events can be had.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Connection, ConnectionHandlers } from "../src/connection/connection";
import type { ServerAddress } from "../src/connection/server";
import { ServerProblem } from "../src/problems";
import type { ClientMessage, ServerMessage, Voice } from "../src/protocol";
import { Session, type Moment } from "../src/session";

const VOICE: Voice = { model: "espeak", speaker: "", language: "en", speed: 1, lora: "" };
const STARTED: ServerMessage = { type: "started", session_id: "s1", voice: VOICE, resumed: false };
const REPLY: ServerMessage = { type: "reply", utterance_id: "u1", turn: 1, voice: VOICE, number: 1 };
const SPEAKING: ServerMessage = { type: "state", participant: "silent", agent: "speaking", event: "" };

class Wire implements Connection {
  static made: Wire[] = [];
  /** What the next ones do when they are opened. */
  static opens: () => Promise<void> = async () => undefined;
  readonly reports = true;
  readonly answersPauses = false;
  readonly microphoneRate = 48_000;
  readonly sent: ClientMessage[] = [];
  sample: number | null = null;
  closed = false;
  readonly address: ServerAddress;
  readonly handlers: ConnectionHandlers;

  constructor(address: ServerAddress, handlers: ConnectionHandlers) {
    this.address = address;
    this.handlers = handlers;
    Wire.made.push(this);
  }
  open = (): Promise<void> => Wire.opens();
  send(message: ClientMessage): void {
    this.sent.push(message);
  }
  setMicrophone = async (): Promise<void> => undefined;
  heard(): number | null {
    return this.sample;
  }
  sounded(): void {}
  async close(): Promise<void> {
    this.closed = true;
  }
  say(...messages: ServerMessage[]): void {
    for (const message of messages) this.handlers.message(message);
  }
}

class Sound {
  static made: Sound[] = [];
  /** Lets the modules of the ones that wait be there. */
  static ready: (() => void)[] = [];
  static waits = false;
  state = "running";
  currentTime = 0;
  readonly destination = {};
  onstatechange: (() => void) | null = null;
  readonly audioWorklet = {
    addModule: (): Promise<void> => (Sound.waits ? new Promise((resolve) => Sound.ready.push(resolve)) : Promise.resolve()),
  };
  constructor() {
    Sound.made.push(this);
  }
  createGain = (): object => ({ ...node(), gain: { value: 1, cancelScheduledValues() {}, setValueAtTime() {}, linearRampToValueAtTime() {} } });
  createAnalyser = node;
  createMediaStreamSource = node;
  resume = async (): Promise<void> => undefined;
  async close(): Promise<void> {
    this.state = "closed";
  }
}

function node(): object {
  return { connect() {}, disconnect() {}, port: {} };
}

function session(): Session {
  return new Session({ server: "https://voice.example/", key: "a-key", transport: "livekit", livekit: async () => ({ LiveKitConnection: Wire }) });
}

function wire(number = Wire.made.length - 1): Wire {
  return Wire.made[number] as Wire;
}

beforeEach(() => {
  vi.useFakeTimers();
  Wire.made = [];
  Wire.opens = async () => undefined;
  Sound.made = [];
  Sound.ready = [];
  Sound.waits = false;
  const track = { enabled: true, label: "", getSettings: () => ({}), stop() {}, addEventListener() {} };
  const stream = { getTracks: () => [track], getAudioTracks: () => [track] };
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: async () => stream } });
  vi.stubGlobal("AudioContext", Sound);
  vi.stubGlobal("AudioWorkletNode", class { constructor() { return node(); } });
  vi.stubGlobal("Audio", class {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a session", () => {
  it("starts with what was set, and tells what was heard when it is paused", async () => {
    const talk = session();
    const moments: Moment[] = [];
    talk.on("moment", (moment) => moments.push(moment));
    await talk.connect();
    expect(wire().address).toEqual({ server: "https://voice.example/", key: "a-key" });
    expect(wire().sent[0]).toMatchObject({ type: "start", sample_rate: 48_000, playout_reports: true });
    wire().say(STARTED, REPLY, SPEAKING);
    wire().sample = 4_800;
    wire().say({ type: "pause", utterance_id: "u1" });
    expect(wire().sent.at(-1)).toEqual({ type: "playout", utterance_id: "u1", sample: 4_800, stopped: true });
    expect(moments.filter(({ what }) => what === "report")).toMatchObject([{ sample: 4_800, stopped: true }]);
  });

  it("moves a caption along with what is heard", async () => {
    const talk = session();
    await talk.connect();
    const marks = [{ text_start: 0, text_end: 4, start_sample: 0, end_sample: 9_000 }];
    wire().say(STARTED, REPLY, SPEAKING, { type: "reply_text", utterance_id: "u1", text: "Once upon" }, { type: "words", utterance_id: "u1", marks });
    wire().sample = 480;
    await vi.advanceTimersByTimeAsync(50);
    expect(talk.model.entries.at(-1)?.place).toEqual({ from: 0, to: 4 });
  });

  it("tells of a message once the model knows of it, and of no change where there is none", async () => {
    const talk = session();
    await talk.connect();
    const seen: string[] = [];
    talk.on("message", ({ type }) => seen.push(`${type} ${talk.model.sessionId}`));
    talk.on("change", () => seen.push("change"));
    wire().say(STARTED, { type: "pong", id: 1 });
    expect(seen).toEqual(["change", "started s1", "pong s1"]);
  });

  it("goes on with its conversation after the link broke", async () => {
    const talk = session();
    await talk.connect();
    wire().say(STARTED);
    wire().handlers.lost("the line is cut");
    expect(talk.model.link).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(400);
    expect(Wire.made).toHaveLength(2);
    expect(wire().sent[0]).toMatchObject({ type: "start", resume_session: "s1" });
  });

  it("says why it was turned away, and holds nothing any more", async () => {
    Wire.opens = async () => {
      throw new ServerProblem(401, "The API key is missing or wrong.");
    };
    const talk = session();
    await talk.connect();
    expect(talk.model).toMatchObject({ link: "offline", error: "The API key is missing or wrong.", trouble: "unauthorized" });
    expect(talk.wrongKey).toBe(true);
    expect([wire().closed, Sound.made[0]?.state, talk.stream]).toEqual([true, "closed", null]);
    Wire.opens = async () => undefined;
    await talk.connect();
    expect(talk.model).toMatchObject({ error: "", trouble: "" });
  });

  it("names a trouble of the server's, until it is dismissed", async () => {
    const talk = session();
    await talk.connect();
    wire().say(STARTED, { type: "error", code: "engine_failed", message: "The voice broke off.", fatal: false });
    expect(talk.model).toMatchObject({ error: "The voice broke off.", trouble: "engine_failed" });
    talk.clearProblem();
    expect(talk.model).toMatchObject({ error: "", trouble: "" });
  });

  it("says what to do where the page's policy keeps the sound out", async () => {
    const talk = session();
    vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:refused");
    vi.stubGlobal("AudioContext", class extends Sound {
      override readonly audioWorklet = { addModule: async () => { throw new Error("refused"); } };
    });
    await talk.connect();
    expect(talk.model).toMatchObject({ link: "offline" });
    expect(talk.model.error).toContain("script-src blob:");
    expect(Wire.made).toHaveLength(0);
  });
});

describe("who leaves while it connects", () => {
  it("is asked for no microphone and connected to nobody", async () => {
    Sound.waits = true;
    const talk = session();
    const connecting = talk.connect();
    await talk.leave();
    Sound.ready.forEach((ready) => ready());
    await connecting;
    expect([Wire.made.length, talk.stream, talk.model.link]).toEqual([0, null, "offline"]);
  });

  it("and comes back at once, has one connection and a sound of their own", async () => {
    Sound.waits = true;
    const talk = session();
    const first = talk.connect();
    const leaving = talk.leave();
    const second = talk.connect();
    await vi.waitFor(() => expect(Sound.ready).toHaveLength(2));
    Sound.ready.forEach((ready) => ready());
    await Promise.all([first, leaving, second]);
    expect(Wire.made).toHaveLength(1);
    expect(Sound.made.map(({ state }) => state)).toEqual(["closed", "running"]);
    wire().say(STARTED);
    expect(talk.model.link).toBe("online");
  });
});
