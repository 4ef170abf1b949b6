// A LiveKit room: loaded only when a server is offered and chosen.

import { DisconnectReason, Room, RoomEvent, Track, type LocalTrackPublication } from "livekit-client";

import { problemOf, serverGone, ServerProblem } from "../problems";
import { parseServerMessage, type ClientMessage } from "../protocol";
import { authorised, type ClientConfig, type Connection, type ConnectionHandlers } from "./connection";

const TOPIC = "parley";
/** Dispatching a job and joining takes the agent a moment. */
const AGENT_TIMEOUT = 20_000;

export class LiveKitConnection implements Connection {
  /** A room mixes and re-times the sound: the account stays with the server's send clock. */
  readonly reports = false;
  private readonly room = new Room();
  private published: LocalTrackPublication | undefined;
  private closing = false;
  private readonly config: ClientConfig;
  private readonly handlers: ConnectionHandlers;

  constructor(config: ClientConfig, handlers: ConnectionHandlers) {
    this.config = config;
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
      if (message) this.handlers.message(message);
    });
    try {
      await room.connect(url, token);
    } catch {
      throw new ServerProblem(0, "The LiveKit server does not answer. Check that it is running and reachable from here.");
    }
    if (microphone) await this.setMicrophone(microphone);
    await present;
    room.on(RoomEvent.ParticipantDisconnected, () => this.lost("the agent left the room"));
    room.on(RoomEvent.Disconnected, (reason) => this.lost(reason === undefined ? "the room closed" : DisconnectReason[reason] ?? "the room closed"));
  }

  private async token(): Promise<{ url: string; token: string }> {
    let response: Response;
    try {
      response = await fetch("v1/livekit/token", { method: "POST", headers: authorised(this.config.key) });
    } catch {
      throw serverGone();
    }
    if (!response.ok) throw await problemOf(response);
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

  heard(): number | null {
    return null;
  }

  async close(): Promise<void> {
    this.closing = true;
    this.send({ type: "end" });
    await this.room.disconnect();
  }
}
