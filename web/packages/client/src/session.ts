// One conversation: connects, keeps the sound and the messages in step, comes back when the link breaks.

import { PageAudio, type Reading } from "./audio/audio.js";
import { Microphone } from "./audio/microphone.js";
import type { Connection, ConnectionHandlers } from "./connection/connection.js";
import type { ServerAddress } from "./connection/server.js";
import { WebRtcConnection } from "./connection/webrtc.js";
import { Events } from "./events.js";
import { initial, reduce, type Model, type ModelEvent } from "./model.js";
import { fetchOffers, type Offers, type TransportName } from "./offers.js";
import { connectionLost, connectionProblem, DETOUR, microphoneReplaced, PathBlocked, ServerProblem, type Trouble } from "./problems.js";
import { PROTOCOL_VERSION, type ClientMessage, type ServerMessage, type Voice } from "./protocol.js";

/** What may be changed at any time; it counts from the next connection on, or at once where a method says so. */
export interface Settings {
  /** Such as "https://voice.example/"; empty for the server that the page itself came from. */
  server: string;
  /** Empty where the server asks for none. */
  key: string;
  /** How to connect: the first that the server offers and this page can use when left empty. */
  transport: TransportName | "";
  /** What the server offers; it is asked where this is empty and no transport is named. */
  transports: readonly TransportName[];
  /** Id of the microphone; empty for the usual one. */
  device: string;
  /** Id of the loudspeaker, where the browser lets a page choose; empty for the usual one. */
  loudspeaker: string;
  /** Soften the voice as soon as somebody speaks, before the server has decided what it was. */
  duck: boolean;
  /** The voice to begin with; null for the server's. */
  voice: Partial<Voice> | null;
  /** Id of a conversation that a page before this one held, to go on with it; what the server has forgotten begins anew. */
  resume: string;
  /** Brings LiveKit rooms: `() => import("@parley/client/livekit")`, with `livekit-client` installed. */
  livekit: (() => Promise<Rooms>) | null;
}

/** What "@parley/client/livekit" exports. */
export interface Rooms {
  readonly LiveKitConnection: new (address: ServerAddress, handlers: ConnectionHandlers) => Connection;
}

/** For anyone who measures from outside: what happened, on the audio clock (`time`, in seconds) and the page's (`now`, in ms). */
export interface Moment {
  readonly what: string;
  readonly time: number;
  readonly now: number;
  readonly sample?: number;
  readonly stopped?: boolean;
}

export interface SessionEvents {
  /** What a page shows is another than before. */
  change: Model;
  /** A message of the server, once the model knows of it. */
  message: ServerMessage;
  /** The microphone's level, a hundred times a second. */
  input: Reading;
  /** The level of what the listener hears, a hundred times a second. */
  output: Reading;
  moment: Moment;
}

const USUAL: Settings = { server: "", key: "", transport: "", transports: [], device: "", loudspeaker: "", duck: true, voice: null, resume: "", livekit: null };

/** Seconds to wait before each new try; then it is up to the person. */
const RETRIES = [0.3, 0.7, 1.5, 3, 5, 8, 13];
/** How often the server is told how far the listener has come. */
const REPORT_EVERY = 100;
/** How often it is looked which word sounds: well within what the eye takes for at once. */
const FOLLOW_EVERY = 40;
/** Agent audio above this is a sound that can be heard: -50 dBFS. */
export const AUDIBLE = 0.00316;

export class Session extends Events<SessionEvents> {
  readonly settings: Settings;
  /** What a page shows; another object after each change. */
  model: Model = initial;
  /** The audio graph, while connected: levels, spectra, a node to measure at. */
  audio: PageAudio | null = null;
  /** The server did not take the key, or asks for one. */
  wrongKey = false;
  private connection: Connection | null = null;
  private wanted = false;
  private attempt = 0;
  private retryTimer = 0;
  private tickers: number[] = [];
  /** Taken since the chosen way is blocked. */
  private detour: TransportName | "" = "";
  /** The conversation has been online: a path that is blocked now is a network in between, not a firewall. */
  private been = false;
  /** A voice that the person chose is on its way. */
  private choosing = false;
  /** The utterance that was reported last. */
  private reported = "";
  /** Audio-clock time of the last voiced block of the microphone, and whether an answer to it is awaited. */
  private speechEnd = 0;
  private awaiting = false;
  private readonly microphone = new Microphone({
    trouble: (trouble) => this.trouble(trouble),
    mended: ({ text }) => this.clearProblem(text),
    gone: () => void this.microphoneGone(),
  });

  constructor(settings: Partial<Settings> = {}) {
    super();
    this.settings = { ...USUAL, ...settings };
  }

  /** The microphone's sound; null while there is none. */
  get stream(): MediaStream | null {
    return this.microphone.stream;
  }

  get muted(): boolean {
    return this.microphone.muted;
  }

  private apply(event: ServerMessage | ModelEvent): void {
    const next = reduce(this.model, event);
    if (next === this.model) return;
    this.model = next;
    this.emit("change", next);
  }

  private trouble({ code, text }: Trouble): void {
    this.apply({ type: "problem", text, code });
  }

  /** Ask the server what it offers, and keep the ways to connect that this page can use. Raises a ServerProblem. */
  async offers(): Promise<Offers> {
    const offers = await fetchOffers(this.settings);
    this.settings.transports = offers.transports.filter((name) => name !== "livekit" || this.settings.livekit);
    return offers;
  }

  /** From a gesture of the person: open the sound, the microphone and the connection. What goes wrong is in `model.error`. */
  async connect(): Promise<void> {
    if (this.wanted) return;
    this.wanted = true;
    this.detour = "";
    this.been = false;
    this.wrongKey = false;
    this.attempt = 0;
    this.apply({ type: "link", link: "connecting" });
    const audio = new PageAudio();
    this.audio = audio;
    audio.onInput = (reading) => this.heardYou(reading);
    audio.onOutput = (reading) => this.heardAgent(reading);
    audio.onSounded = (at) => this.connection?.sounded(at);
    audio.onSuspended = (suspended) => this.apply({ type: "suspended", suspended });
    try {
      await audio.start();
      if (this.settings.loudspeaker) await audio.playBy(this.settings.loudspeaker);
    } catch (error) {
      if (this.audio === audio) await this.failed(error);
    }
    // Who left meanwhile, and perhaps came back, has another sound, or none.
    if (this.audio === audio) await this.acquireMicrophone();
    if (this.audio === audio) await this.establish();
  }

  private async acquireMicrophone(): Promise<void> {
    const stream = await this.microphone.open(this.settings.device);
    if (stream) this.audio?.listen(stream);
  }

  /** The next one is asked for, and the person is told. */
  private async microphoneGone(): Promise<void> {
    if (!this.wanted) return;
    await this.changeDevice("");
    const next = this.microphone.track;
    if (next) this.trouble(microphoneReplaced(next.label));
  }

  /** A sound that the browser holds back (a call came in, a phone was locked) goes on with the next tap. */
  async wake(): Promise<void> {
    await this.audio?.wake();
  }

  clearProblem(text = this.model.error): void {
    if (this.model.error === text) this.apply({ type: "problem", text: "" });
  }

  private async establish(): Promise<void> {
    const handlers: ConnectionHandlers = {
      message: (message) => this.received(message),
      voice: (sound) => this.audio?.play(sound),
      now: () => this.audio?.context.currentTime ?? 0,
      context: () => {
        if (!this.audio) throw new Error("the sound is closed");
        return this.audio.context;
      },
      stopped: (sample) => this.tell("report", { sample, stopped: true }),
      lost: (reason) => this.retry(reason),
      refused: (problem) => void this.failed(problem),
    };
    try {
      const connection = await makeConnection(this.detour || (await chosen(this)), this.settings, handlers);
      if (!this.wanted) return;
      this.connection = connection;
      await connection.open(this.microphone.track);
      connection.send(startOf(connection, this.settings.voice, this.model.sessionId || this.settings.resume));
    } catch (error) {
      await this.failed(error);
    }
  }

  private async failed(error: unknown): Promise<void> {
    await this.connection?.close();
    this.connection = null;
    if (!this.wanted) return;
    if (error instanceof PathBlocked && !this.detour && !this.been && this.settings.transports.includes("websocket")) {
      this.detour = "websocket";
      this.trouble(DETOUR);
      await this.establish();
      return;
    }
    const trouble = connectionProblem(error);
    this.wrongKey = trouble.code === "unauthorized";
    if (this.attempt > 0 && error instanceof ServerProblem && error.passing) {
      this.retry(trouble.text);
      return;
    }
    await this.leave();
    this.trouble(trouble);
  }

  private retry(reason: string): void {
    this.connection = null;
    if (!this.wanted) return;
    const wait = RETRIES[this.attempt];
    if (wait === undefined) {
      void this.leave().then(() => this.trouble(connectionLost(reason)));
      return;
    }
    this.attempt += 1;
    this.apply({ type: "link", link: "reconnecting", notice: `Connection lost: ${reason}. Trying again…` });
    this.retryTimer = window.setTimeout(() => void this.establish(), wait * 1000);
  }

  /** The server goes, and the conversation need not: it goes on where one answers next. */
  private moveOn(reason: string): void {
    const { connection } = this;
    this.retry(reason);
    void connection?.close();
  }

  private received(message: ServerMessage): void {
    switch (message.type) {
      case "started":
        this.attempt = 0;
        this.been = true;
        this.settings.resume = "";
        this.audio?.sound();
        this.startReports();
        break;
      case "pause":
      case "clear":
        if (this.connection?.answersPauses) break;
        this.audio?.silence();
        this.report(message.utterance_id, true);
        break;
      case "resume":
      case "reply":
        this.audio?.sound();
        break;
      case "decision":
        this.audio?.duck(false);
        break;
      case "ended":
        if (message.resume) this.moveOn(message.reason);
        else if (this.wanted) void this.leave();
        break;
      default:
        break;
    }
    this.apply(message);
    // Only a voice that was chosen, and taken, is asked for again after a lost connection.
    if (message.type === "voice" && this.choosing) {
      this.choosing = false;
      this.settings.voice = message.voice;
    }
    this.emit("message", message);
    this.tell(message.type);
  }

  private report(utterance: string, stopped: boolean): void {
    const sample = this.connection?.heard(utterance, this.audio?.context.currentTime ?? 0) ?? null;
    if (sample === null) return;
    this.reported = utterance;
    this.connection?.send({ type: "playout", utterance_id: utterance, sample, stopped });
    this.tell("report", { sample, stopped });
  }

  private startReports(): void {
    this.reported = "";
    this.stopReports();
    const report = (): void => {
      if (this.model.agent === "speaking") this.report(this.model.utterance, false);
    };
    this.tickers = [window.setInterval(report, REPORT_EVERY), window.setInterval(() => this.follow(), FOLLOW_EVERY)];
  }

  private stopReports(): void {
    for (const ticker of this.tickers) window.clearInterval(ticker);
  }

  /** Words light up as they are heard; where a browser can not tell, as they are sent. */
  private follow(): void {
    const { connection, audio, model } = this;
    if (!connection || !audio || model.agent !== "speaking") return;
    const sample = connection.reports ? connection.heard(model.utterance, audio.context.currentTime) : Infinity;
    if (sample === null) return;
    this.apply({ type: "played", utterance_id: model.utterance, sample });
    if (this.model !== model) this.tell("word", { sample });
  }

  private heardYou(reading: Reading): void {
    this.emit("input", reading);
    if (this.model.link === "online") this.microphone.hear(reading);
    if (reading.voiced && !this.muted) {
      this.speechEnd = reading.time;
      if (this.model.participant === "speaking") this.awaiting = true;
    }
    if (!reading.onset || this.muted || !this.settings.duck || this.model.agent !== "speaking") return;
    this.audio?.duck(true);
    this.tell("duck");
  }

  private heardAgent(reading: Reading): void {
    this.emit("output", reading);
    // The first sound is reported at once, so that the server knows how long it was on its way.
    const { agent, utterance } = this.model;
    if (agent === "speaking" && reading.level >= AUDIBLE && this.reported !== utterance) this.report(utterance, false);
    if (!this.awaiting || reading.level < AUDIBLE || this.model.participant === "speaking") return;
    if (this.model.agent !== "speaking") return;
    this.awaiting = false;
    this.apply({ type: "audible", ms: (reading.time - this.speechEnd) * 1000 });
  }

  typed(text: string): void {
    this.connection?.send({ type: "text", text });
    this.apply({ type: "typed", text });
  }

  interrupt(): void {
    this.audio?.silence();
    this.connection?.send({ type: "interrupt" });
  }

  setVoice(voice: Partial<Voice>): void {
    this.choosing = true;
    this.connection?.send({ type: "set_voice", voice });
  }

  setMuted(muted: boolean): void {
    this.microphone.muted = muted;
  }

  /** Push-to-talk: the microphone is open while the button is held. */
  hold(held: boolean): void {
    if (held && this.model.agent === "speaking") this.interrupt();
    this.setMuted(!held);
    if (!held) this.connection?.send({ type: "end_turn" });
  }

  /** Listen with this microphone from now on; with the usual one for an empty id. */
  async changeDevice(device: string): Promise<void> {
    this.settings.device = device;
    if (!this.wanted) return;
    await this.acquireMicrophone();
    await this.connection?.setMicrophone(this.microphone.track);
  }

  /** Play by this loudspeaker from now on; by the usual one for an empty id. */
  async changeLoudspeaker(loudspeaker: string): Promise<void> {
    this.settings.loudspeaker = loudspeaker;
    await this.audio?.playBy(loudspeaker);
  }

  /** End the conversation; nothing is held any more. */
  async leave(): Promise<void> {
    this.wanted = false;
    window.clearTimeout(this.retryTimer);
    this.stopReports();
    // Taken first: who connects again meanwhile has a sound of their own.
    const { connection, audio } = this;
    this.connection = this.audio = null;
    this.microphone.close();
    await connection?.close();
    await audio?.close();
    if (!this.wanted) this.apply({ type: "link", link: "offline" });
  }

  private tell(what: string, more: { sample?: number; stopped?: boolean } = {}): void {
    this.emit("moment", { what, time: this.audio?.context.currentTime ?? 0, now: performance.now(), ...more });
  }
}

function startOf(connection: Connection, voice: Partial<Voice> | null, resumed: string): ClientMessage {
  return {
    type: "start",
    protocol: PROTOCOL_VERSION,
    sample_rate: connection.microphoneRate,
    playout_reports: connection.reports,
    echo_cancelled: true,
    ...(voice ? { voice } : {}),
    ...(resumed ? { resume_session: resumed } : {}),
  };
}

/** How to connect where no detour is taken. Raises a ServerProblem. */
async function chosen(session: Session): Promise<TransportName> {
  const { settings } = session;
  if (settings.transport) return settings.transport;
  if (settings.transports.length === 0) await session.offers();
  const [first] = settings.transports;
  if (!first) throw new ServerProblem(400, "The server offers no connection that a page can use.");
  return first;
}

async function makeConnection(transport: TransportName, settings: Settings, handlers: ConnectionHandlers): Promise<Connection> {
  // As it is now: a key that is changed meanwhile is for the next connection.
  const address = { server: settings.server, key: settings.key };
  if (transport === "websocket") {
    const { WebSocketConnection } = await import("./connection/websocket.js");
    return new WebSocketConnection(address, handlers);
  }
  if (transport === "webrtc") return new WebRtcConnection(address, handlers);
  if (!settings.livekit) throw new ServerProblem(400, "This page has no way into LiveKit rooms; choose another connection.");
  const { LiveKitConnection } = await settings.livekit();
  return new LiveKitConnection(address, handlers);
}
