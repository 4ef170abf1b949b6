// A LiveKit room. A part of its own, because LiveKit's library is several times as large as all of this.

import { DisconnectReason, Room, RoomEvent, Track, type LocalTrackPublication } from "livekit-client";

import { ServerProblem } from "../problems.js";
import { parseServerMessage, type ClientMessage } from "../protocol.js";
import type { Connection, ConnectionHandlers } from "./connection.js";
import { Onsets } from "./onsets.js";
import { ask, type ServerAddress } from "./server.js";

const TOPIC = "parley";
/** Dispatching a job and joining takes the agent a moment. */
const AGENT_TIMEOUT = 20_000;
/** A signalling connection that is gone for this long means that the server is; a short gap mends itself. */
const SIGNAL_TIMEOUT = 3_000;

export class LiveKitConnection implements Connection {
  readonly reports = true;
  private readonly onsets = new Onsets();
  private readonly room = new Room();
  private signalTimer = 0;
  private published: LocalTrackPublication | undefined;
  readonly answersPauses = false;
  readonly microphoneRate = 48_000;
  private closing = false;
  private readonly address: ServerAddress;
  private readonly handlers: ConnectionHandlers;

  constructor(address: ServerAddress, handlers: ConnectionHandlers) {
    this.address = address;
    this.handlers = handlers;
  }

  async open(microphone: MediaStreamTrack | null): Promise<void> {
    const { url, token } = await this.token();
    const { room } = this;
    room.on(RoomEvent.TrackSubscribed, (track) => {
      if (track.kind === Track.Kind.Audio && track.mediaStreamTrack) {
        this.handlers.voice(new MediaStream([track.mediaStreamTrack]));
      }
    });
    const present = this.agentPresent();
    present.catch(() => undefined);
    room.on(RoomEvent.DataReceived, (payload, _participant, _kind, topic) => {
      if (topic !== TOPIC) return;
      const message = parseServerMessage(new TextDecoder().decode(payload));
      if (message?.type === "onset") this.onsets.announce(message.utterance_id, message.sample, this.handlers.now());
      if (message) this.handlers.message(message);
    });
    try {
      await room.connect(url, token);
    } catch {
      throw new ServerProblem(0, "The LiveKit server does not answer. Check that it is running and reachable from here.");
    }
    if (microphone) await this.setMicrophone(microphone);
    await present;
    this.watch(room);
    room.on(RoomEvent.ParticipantDisconnected, () => this.lost("the agent left the room"));
    room.on(RoomEvent.Disconnected, (reason) => this.lost(reason === undefined ? "the room closed" : DisconnectReason[reason] ?? "the room closed"));
  }

  /** The room mends a short gap by itself. After a longer one it is another room, without our agent: leave it. */
  private watch(room: Room): void {
    room.on(RoomEvent.SignalReconnecting, () => {
      window.clearTimeout(this.signalTimer);
      this.signalTimer = window.setTimeout(() => this.lost("the LiveKit server does not answer"), SIGNAL_TIMEOUT);
    });
    room.on(RoomEvent.Reconnected, () => window.clearTimeout(this.signalTimer));
    room.on(RoomEvent.Reconnecting, () => this.lost("the LiveKit server lost the room"));
  }

  private async token(): Promise<{ url: string; token: string }> {
    const response = await ask(this.address, "v1/livekit/token", { method: "POST" });
    return (await response.json()) as { url: string; token: string };
  }

  private agentPresent(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new ServerProblem(0, "No agent joined the room. Check that Parley is registered with the LiveKit server.")),
        AGENT_TIMEOUT,
      );
      const check = (): void => {
        if (this.room.remoteParticipants.size === 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.room.on(RoomEvent.ParticipantConnected, check);
      this.room.on(RoomEvent.Connected, check);
    });
  }

  private lost(reason: string): void {
    if (this.closing) return;
    this.closing = true;
    window.clearTimeout(this.signalTimer);
    void this.room.disconnect();
    this.handlers.lost(reason);
  }

  send(message: ClientMessage): void {
    const data = new TextEncoder().encode(JSON.stringify(message));
    void this.room.localParticipant.publishData(data, { reliable: true, topic: TOPIC }).catch(() => undefined);
  }

  async setMicrophone(track: MediaStreamTrack | null): Promise<void> {
    if (this.published?.track) await this.room.localParticipant.unpublishTrack(this.published.track, false);
    this.published = track
      ? await this.room.localParticipant.publishTrack(track, { source: Track.Source.Microphone, dtx: false, red: false })
      : undefined;
  }

  heard(utterance: string, now: number): number | null {
    return this.onsets.heard(utterance, now);
  }

  sounded(at: number): void {
    this.onsets.sounded(at);
  }

  async close(): Promise<void> {
    this.closing = true;
    window.clearTimeout(this.signalTimer);
    this.send({ type: "end" });
    await this.room.disconnect();
  }
}
