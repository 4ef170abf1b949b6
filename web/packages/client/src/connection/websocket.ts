// One WebSocket, where no direct audio path can be had: samples of both sides in binary messages.

import ends from "../audio/socket.worklet.ts?worklet";
import { heardAt, packMicrophone, placeAfter, unpackAgent, type FromPlayer, type Place, type ToPlayer } from "../audio/socket-messages.js";
import { addWorklet } from "../audio/worklet.js";
import { ServerProblem, serverGone } from "../problems.js";
import { parseServerMessage, type ClientMessage } from "../protocol.js";
import type { Connection, ConnectionHandlers } from "./connection.js";
import { addressOf, type ServerAddress } from "./server.js";

const OPEN_TIMEOUT = 10_000;
/** A path that carries nothing for this long is gone, whatever the browser believes. */
const PING_EVERY = 2_000;
const MOST_PINGS = 3;
/** Unsent audio beyond this is late already: two seconds of it. */
const MOST_WAITING = 64_000;
/** The server's close codes for what trying again does not mend. */
const REFUSED = 1008;
const FULL = 1013;

export class WebSocketConnection implements Connection {
  readonly reports = true;
  readonly answersPauses = true;
  readonly microphoneRate = 16_000;
  private socket: WebSocket | null = null;
  private player: AudioWorkletNode | null = null;
  private capture: AudioWorkletNode | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private readonly numbers = new Map<number, string>();
  /** What is urgent overtakes: replies that were stopped before they began. Nothing was heard of them. */
  private readonly early = new Map<string, "pause" | "clear">();
  private place: Place | null = null;
  private closing = false;
  private said = "";
  private pings = 0;
  private pingTimer = 0;
  private readonly address: ServerAddress;
  private readonly handlers: ConnectionHandlers;

  constructor(address: ServerAddress, handlers: ConnectionHandlers) {
    this.address = address;
    this.handlers = handlers;
  }

  async open(microphone: MediaStreamTrack | null): Promise<void> {
    const context = this.handlers.context();
    await addWorklet(context, ends);
    if (this.closing) throw serverGone();
    const player = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player = player;
    player.port.onmessage = (event: MessageEvent<FromPlayer>) => this.played(event.data);
    this.handlers.voice(player);
    this.capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.capture.port.onmessage = (event: MessageEvent<ArrayBuffer>) => this.hear(event.data);
    await this.setMicrophone(microphone);
    await this.connect();
  }

  private connect(): Promise<void> {
    const url = addressOf(this.address, "v1/session");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { key } = this.address;
    const socket = new WebSocket(url, ["parley.v1", ...(key ? [`parley.key.${key}`] : [])]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.received(event.data);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT);
      socket.onclose = () => {
        clearTimeout(timer);
        reject(serverGone());
      };
      socket.onopen = () => {
        clearTimeout(timer);
        if (this.closing) {
          socket.close();
          reject(serverGone());
          return;
        }
        socket.onclose = (event) => this.closed(event.code);
        this.pingTimer = window.setInterval(() => this.ping(), PING_EVERY);
        resolve();
      };
    });
  }

  private received(data: string | ArrayBuffer): void {
    this.pings = 0;
    if (typeof data !== "string") {
      const frame = unpackAgent(data);
      if (frame) this.tell({ kind: "audio", ...frame }, [frame.pcm]);
      return;
    }
    const message = parseServerMessage(data);
    if (!message) return;
    switch (message.type) {
      case "reply":
        this.numbers.set(message.number, message.utterance_id);
        this.tell({ kind: "begin", number: message.number });
        this.begin(message.utterance_id, message.number);
        if (this.numbers.size > 20) this.numbers.delete(this.numbers.keys().next().value as number);
        break;
      case "pause":
        this.stop("pause", message.utterance_id);
        break;
      case "resume":
        this.early.delete(message.utterance_id);
        this.tell({ kind: "resume" });
        break;
      case "clear":
        this.stop("clear", message.utterance_id);
        break;
      case "error":
        if (message.fatal) this.said = message.message;
        break;
      default:
        break;
    }
    this.handlers.message(message);
  }

  private stop(kind: "pause" | "clear", utterance: string): void {
    const number = this.numberOf(utterance);
    if (number > 0) {
      this.tell({ kind, number });
      return;
    }
    this.early.set(utterance, kind);
    this.send({ type: "playout", utterance_id: utterance, sample: 0, stopped: true });
  }

  private begin(utterance: string, number: number): void {
    const kind = this.early.get(utterance);
    this.early.clear();
    if (kind) this.tell({ kind, number });
  }

  private tell(message: ToPlayer, transfer: Transferable[] = []): void {
    this.player?.port.postMessage(message, transfer);
  }

  private numberOf(utterance: string): number {
    for (const [number, known] of this.numbers) if (known === utterance) return number;
    return 0;
  }

  private played(message: FromPlayer): void {
    if (message.kind === "at") {
      this.place = placeAfter(this.place, message);
      return;
    }
    this.place = { ...message, kind: "at", time: this.handlers.now(), playing: false };
    const utterance = this.numbers.get(message.number);
    if (!utterance) return;
    this.send({ type: "playout", utterance_id: utterance, sample: message.sample, stopped: true });
    this.handlers.stopped(message.sample);
  }

  private hear(pcm: ArrayBuffer): void {
    const { socket } = this;
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > MOST_WAITING) return;
    socket.send(packMicrophone(pcm));
  }

  private ping(): void {
    this.pings += 1;
    if (this.pings > MOST_PINGS) {
      this.socket?.close();
      this.lost("the server does not answer");
    } else this.send({ type: "ping", id: this.pings });
  }

  private closed(code: number): void {
    if (this.closing) return;
    if (code === REFUSED && this.said) {
      this.release();
      this.handlers.refused(new ServerProblem(/key/i.test(this.said) ? 401 : 400, this.said));
    } else this.lost(code === FULL && this.said ? this.said : "the server closed the connection");
  }

  private lost(reason: string): void {
    if (this.closing) return;
    this.release();
    this.handlers.lost(reason);
  }

  send(message: ClientMessage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async setMicrophone(track: MediaStreamTrack | null): Promise<void> {
    this.source?.disconnect();
    this.source = track ? this.handlers.context().createMediaStreamSource(new MediaStream([track])) : null;
    if (this.capture) this.source?.connect(this.capture);
  }

  heard(utterance: string, now: number): number | null {
    const { place } = this;
    if (!place || this.numbers.get(place.number) !== utterance) return null;
    const sample = heardAt(place, now, this.handlers.context().outputLatency || 0);
    return sample < 0 ? null : sample;
  }

  sounded(): void {
    // The player counts samples itself.
  }

  /** Both ends stop working; the sound of the session goes on without them. */
  private release(): void {
    this.closing = true;
    window.clearInterval(this.pingTimer);
    for (const node of [this.player, this.capture]) {
      if (!node) continue;
      node.port.postMessage({ kind: "end" } satisfies ToPlayer);
      node.port.onmessage = null;
    }
    this.source?.disconnect();
    this.player?.disconnect();
    this.source = this.player = this.capture = null;
  }

  async close(): Promise<void> {
    this.send({ type: "end" });
    this.release();
    this.socket?.close();
  }
}
