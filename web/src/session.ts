// One conversation: connects, keeps the sound and the messages in step, comes back when the link breaks.

import { microphones, openMicrophone, PageAudio, type Reading } from "./audio/audio";
import type { ClientConfig, Connection, ConnectionHandlers } from "./connection/connection";
import { WebRtcConnection } from "./connection/webrtc";
import { initial, reduce, type Model, type PageEvent } from "./model";
import { DETOUR, microphoneProblem, microphoneReplaced, MUTED_BY_SYSTEM, PathBlocked, ServerProblem, SILENT_MICROPHONE } from "./problems";
import { PROTOCOL_VERSION, type ServerMessage, type Voice } from "./protocol";

export interface Preferences {
  transport: string;
  device: string;
  duck: boolean;
  pushToTalk: boolean;
  voice: Partial<Voice> | null;
}

/** Seconds to wait before each new try; then it is up to the person. */
const RETRIES = [0.3, 0.7, 1.5, 3, 5, 8, 13];
/** A local onset that the orchestrator does not confirm within this time was none. */
const DUCK_FOR = 600;
/** How often the server is told how far the listener has come. */
const REPORT_EVERY = 100;
/** How often it is looked which word sounds: well within what the eye takes for at once. */
const FOLLOW_EVERY = 40;
/** Agent audio above this is a sound that can be heard: -50 dBFS. */
const AUDIBLE = 0.00316;

/** Digital silence: below -100 dBFS. */
const NO_SOUND = 1e-5;
/** Seconds of it before it is told. */
const SILENT_FOR = 6;

export class Session {
  model: Model = initial;
  audio: PageAudio | null = null;
  onInput: (reading: Reading) => void = () => {};
  /** The agent is heard. */
  onOutput: () => void = () => {};
  /** The server did not take the key, or asks for one. */
  wrongKey = false;
  private connection: Connection | null = null;
  private stream: MediaStream | null = null;
  private wanted = false;
  private muted = false;
  private attempt = 0;
  private duckTimer = 0;
  private retryTimer = 0;
  private reportTimer = 0;
  private followTimer = 0;
  /** Taken since the chosen way is blocked. */
  private detour = "";
  /** The conversation has been online: a path that is blocked now is a network in between, not a firewall. */
  private been = false;
  /** A voice that the person chose is on its way. */
  private choosing = false;
  /** The utterance that was reported last. */
  private reported = "";
  /** Audio-clock time of the last voiced block of the microphone, and whether an answer to it is awaited. */
  private speechEnd = 0;
  private awaiting = false;
  /** Audio-clock time since which the microphone gives nothing at all: 0 before that, Infinity once it was heard. */
  private silentSince = 0;
  private readonly config: ClientConfig;
  private readonly preferences: Preferences;
  private readonly changed: () => void;

  constructor(config: ClientConfig, preferences: Preferences, changed: () => void) {
    this.config = config;
    this.preferences = preferences;
    this.changed = changed;
  }

  /** A voice was taken, or refused: the one in the model speaks. */
  onVoice: () => void = () => undefined;

  private apply(event: ServerMessage | PageEvent): void {
    const next = reduce(this.model, event);
    if (next === this.model) return;
    this.model = next;
    this.changed();
  }

  async connect(): Promise<void> {
    if (this.wanted) return;
    this.wanted = true;
    this.detour = "";
    this.been = false;
    this.wrongKey = false;
    this.attempt = 0;
    this.apply({ type: "link", link: "connecting" });
    this.audio = new PageAudio();
    this.audio.onInput = (reading) => this.heardYou(reading);
    this.audio.onOutput = (reading) => this.heardAgent(reading);
    this.audio.onSounded = (at) => this.connection?.sounded(at);
    this.audio.onSuspended = (suspended) => this.apply({ type: "suspended", suspended });
    await this.audio.start();
    await this.acquireMicrophone();
    if (this.wanted) await this.establish();
  }

  private async acquireMicrophone(): Promise<void> {
    try {
      this.stream = await openMicrophone(this.preferences.device);
      this.audio?.listen(this.stream);
      this.silentSince = 0;
      this.watchMicrophone(this.stream.getAudioTracks()[0]);
      this.applyMute();
    } catch (error) {
      this.stream = null;
      this.apply({ type: "problem", text: microphoneProblem(error) });
    }
  }

  /** Unplugged, or taken away by the system: the next one is asked for, and the person is told. */
  private watchMicrophone(track: MediaStreamTrack | undefined): void {
    if (!track) return;
    track.addEventListener("ended", () => void this.microphoneGone(track));
    track.addEventListener("mute", () => this.apply({ type: "problem", text: MUTED_BY_SYSTEM }));
    track.addEventListener("unmute", () => this.clearProblem(MUTED_BY_SYSTEM));
  }

  private async microphoneGone(track: MediaStreamTrack): Promise<void> {
    if (!this.wanted || this.stream?.getAudioTracks()[0] !== track) return;
    await this.changeDevice("");
    const next = this.stream?.getAudioTracks()[0];
    if (next) this.apply({ type: "problem", text: microphoneReplaced(next.label) });
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
      stopped: (sample) => tell("report", this.audio, { sample, stopped: true }),
      lost: (reason) => this.retry(reason),
      refused: (problem) => void this.failed(problem),
    };
    const transport = this.detour || this.preferences.transport;
    try {
      const connection = await makeConnection(transport, this.config, handlers);
      this.connection = connection;
      await connection.open(this.stream?.getAudioTracks()[0] ?? null);
      connection.send({
        type: "start",
        protocol: PROTOCOL_VERSION,
        sample_rate: connection.microphoneRate,
        playout_reports: connection.reports,
        echo_cancelled: true,
        ...(this.preferences.voice ? { voice: this.preferences.voice } : {}),
        ...(this.model.sessionId ? { resume_session: this.model.sessionId } : {}),
      });
    } catch (error) {
      await this.failed(error);
    }
  }

  private async failed(error: unknown): Promise<void> {
    await this.connection?.close();
    this.connection = null;
    if (!this.wanted) return;
    if (error instanceof PathBlocked && !this.detour && !this.been && this.config.transports.includes("websocket")) {
      this.detour = "websocket";
      this.apply({ type: "problem", text: DETOUR });
      await this.establish();
      return;
    }
    const text = error instanceof Error ? error.message : String(error);
    const passing = error instanceof ServerProblem ? error.passing : false;
    this.wrongKey = error instanceof ServerProblem && error.status === 401;
    if (this.attempt > 0 && passing) {
      this.retry(text);
      return;
    }
    await this.leave();
    this.apply({ type: "problem", text });
  }

  private retry(reason: string): void {
    this.connection = null;
    if (!this.wanted) return;
    const wait = RETRIES[this.attempt];
    if (wait === undefined) {
      void this.leave().then(() => this.apply({ type: "problem", text: `The connection is lost (${reason}). Check the server, then start again.` }));
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
        this.unduck();
        this.audio?.sound();
        break;
      case "decision":
        this.unduck();
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
      this.preferences.voice = message.voice;
    }
    if (message.type === "voice" || (message.type === "error" && message.code === "not_found")) this.onVoice();
    tell(message.type, this.audio);
  }

  private report(utterance: string, stopped: boolean): void {
    const sample = this.connection?.heard(utterance, this.audio?.context.currentTime ?? 0) ?? null;
    if (sample === null) return;
    this.reported = utterance;
    this.connection?.send({ type: "playout", utterance_id: utterance, sample, stopped });
    tell("report", this.audio, { sample, stopped });
  }

  private startReports(): void {
    this.reported = "";
    window.clearInterval(this.reportTimer);
    this.reportTimer = window.setInterval(() => {
      if (this.model.agent === "speaking") this.report(this.model.utterance, false);
    }, REPORT_EVERY);
    window.clearInterval(this.followTimer);
    this.followTimer = window.setInterval(() => this.follow(), FOLLOW_EVERY);
  }

  /** Words light up as they are heard; where a browser can not tell, as they are sent. */
  private follow(): void {
    const { connection, audio, model } = this;
    if (!connection || !audio || model.agent !== "speaking") return;
    const sample = connection.reports ? connection.heard(model.utterance, audio.context.currentTime) : Infinity;
    if (sample === null) return;
    this.apply({ type: "played", utterance_id: model.utterance, sample });
    if (this.model !== model) tell("word", audio, { sample });
  }

  private heardYou(reading: Reading): void {
    this.onInput(reading);
    this.watchSilence(reading);
    if (reading.voiced && !this.muted) {
      this.speechEnd = reading.time;
      if (this.model.participant === "speaking") this.awaiting = true;
    }
    if (!reading.onset || this.muted || !this.preferences.duck || this.model.agent !== "speaking") return;
    this.audio?.duck(true);
    tell("duck", this.audio);
    window.clearTimeout(this.duckTimer);
    this.duckTimer = window.setTimeout(() => this.unduck(), DUCK_FOR);
  }

  /** A microphone that has never given any sound is switched off, or not the one spoken into. Once it has, silence
   * may be what a suppressor of noise makes of a quiet room. */
  private watchSilence(reading: Reading): void {
    if (this.silentSince === Infinity || this.muted || this.model.link !== "online") return;
    if (reading.level > NO_SOUND) {
      this.silentSince = Infinity;
      this.clearProblem(SILENT_MICROPHONE);
      return;
    }
    this.silentSince ||= reading.time;
    if (reading.time - this.silentSince > SILENT_FOR) this.apply({ type: "problem", text: SILENT_MICROPHONE });
  }

  private unduck(): void {
    window.clearTimeout(this.duckTimer);
    this.audio?.duck(false);
  }

  private heardAgent(reading: Reading): void {
    if (reading.level >= AUDIBLE) this.onOutput();
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
    this.muted = muted;
    this.applyMute();
  }

  /** Push-to-talk: the microphone is open while the button is held. */
  hold(held: boolean): void {
    if (held && this.model.agent === "speaking") this.interrupt();
    this.setMuted(!held);
    if (!held) this.connection?.send({ type: "end_turn" });
  }

  private applyMute(): void {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !this.muted;
  }

  async changeDevice(device: string): Promise<void> {
    this.preferences.device = device;
    if (!this.wanted) return;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    await this.acquireMicrophone();
    await this.connection?.setMicrophone(this.stream?.getAudioTracks()[0] ?? null);
  }

  async leave(): Promise<void> {
    this.wanted = false;
    window.clearTimeout(this.retryTimer);
    window.clearInterval(this.reportTimer);
    window.clearInterval(this.followTimer);
    this.unduck();
    await this.connection?.close();
    this.connection = null;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    await this.audio?.close();
    this.audio = null;
    this.apply({ type: "link", link: "offline" });
  }
}

async function makeConnection(transport: string, config: ClientConfig, handlers: ConnectionHandlers): Promise<Connection> {
  if (transport === "websocket") {
    const { WebSocketConnection } = await import("./connection/websocket");
    return new WebSocketConnection(config, handlers);
  }
  if (transport !== "livekit") return new WebRtcConnection(config, handlers);
  const { LiveKitConnection } = await import("./connection/livekit");
  return new LiveKitConnection(config, handlers);
}

/** For anyone who measures the page from outside: what happened, on the audio clock. */
function tell(what: string, audio: PageAudio | null, more: Record<string, unknown> = {}): void {
  const detail = { what, time: audio?.context.currentTime ?? 0, now: performance.now(), ...more };
  window.dispatchEvent(new CustomEvent("parley", { detail }));
}

export { microphones };
