// Direct WebRTC: one offer over HTTP, messages on a data channel, Opus both ways.

import { PathBlocked } from "../problems.js";
import { parseServerMessage, SAMPLE_RATE, type ClientMessage, type ServerMessage } from "../protocol.js";
import type { Connection, ConnectionHandlers } from "./connection.js";
import { addressOf, ask, authorised, type ServerAddress } from "./server.js";

const OPEN_TIMEOUT = 10_000;
/** Candidates of this machine are there at once; a STUN server may take a little longer. */
const GATHER_TIMEOUT = 1_000;
/** A path that is gone for this long is looked for anew; a short gap mends itself. */
const RESTART_AFTER = 1_500;
const MOST_RESTARTS = 3;
/** How often the server is asked for a sign of life; ICE alone notices after many seconds that nobody is there. */
const PING_EVERY = 500;
/** Milliseconds without a word from the server after which it is asked over HTTP, too: one that is gone refuses at once. */
const SILENT_FOR = 900;
/** One that only works hard answers late, and is not given up for it. */
const PROBE_TIMEOUT = 5_000;
/** Requests in a row that fail at once. */
const MOST_REFUSALS = 2;
/** RTP timestamps are 32 bit; half of that tells before from after. */
const WRAP = 2 ** 32;
/** A source older than this says nothing about now: no packet holds more than 60 ms. */
const LONGEST_PACKET = 0.06;

type Anchor = Extract<ServerMessage, { type: "anchor" }>;

export class WebRtcConnection implements Connection {
  private peer: RTCPeerConnection | null = null;
  private channel: RTCDataChannel | null = null;
  private sender: RTCRtpSender | null = null;
  private resource = "";
  private anchor: Anchor | null = null;
  readonly reports = "getSynchronizationSources" in RTCRtpReceiver.prototype;
  readonly answersPauses = false;
  readonly microphoneRate = 48_000;
  private closing = false;
  private restarts = 0;
  private restartTimer = 0;
  private pingTimer = 0;
  private pings = 0;
  /** When the server said something last, and whether it is being asked over HTTP. */
  private heardFrom = 0;
  private probing = false;
  private refusals = 0;
  private readonly address: ServerAddress;
  private readonly handlers: ConnectionHandlers;

  constructor(address: ServerAddress, handlers: ConnectionHandlers) {
    this.address = address;
    this.handlers = handlers;
  }

  async open(microphone: MediaStreamTrack | null): Promise<void> {
    const peer = new RTCPeerConnection(await this.configuration());
    this.peer = peer;
    const transceiver = peer.addTransceiver(microphone ?? "audio", { direction: "sendrecv" });
    this.sender = transceiver.sender;
    peer.ontrack = (event) => this.handlers.voice(event.streams[0] ?? new MediaStream([event.track]));
    const channel = peer.createDataChannel("parley", { ordered: true });
    this.channel = channel;
    channel.onmessage = (event: MessageEvent<string>) => {
      this.heardFrom = performance.now();
      const message = parseServerMessage(event.data);
      if (message?.type === "anchor") this.anchor = message;
      if (message) this.handlers.message(message);
    };
    const opened = this.opened(peer, channel);
    opened.catch(() => undefined);
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    await this.exchange(peer);
    await opened;
    channel.onclose = () => this.lost("the server closed the connection");
    peer.onconnectionstatechange = () => this.watch(peer);
    this.heardFrom = performance.now();
    this.pingTimer = window.setInterval(() => void this.ping(), PING_EVERY);
  }

  private async ping(): Promise<void> {
    this.pings += 1;
    this.send({ type: "ping", id: this.pings });
    if (performance.now() - this.heardFrom < SILENT_FOR) this.refusals = 0;
    else if (!this.probing) await this.probe();
  }

  private async probe(): Promise<void> {
    this.probing = true;
    try {
      await fetch(addressOf(this.address, "health"), { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT) });
      this.refusals = 0;
    } catch (error) {
      // Time that runs out says nothing about who is there. Where the network changes, requests fail for a moment, and
      // where only the path is broken, ICE looks for another one.
      const refused = !(error instanceof DOMException) && navigator.onLine && this.peer?.connectionState === "connected";
      this.refusals = refused ? this.refusals + 1 : 0;
      if (this.refusals >= MOST_REFUSALS) this.lost("the server does not answer");
    }
    this.probing = false;
  }

  /** What the server says about the way to it: STUN and TURN servers, if any. */
  private async configuration(): Promise<RTCConfiguration> {
    const response = await ask(this.address, "v1/webrtc");
    return (await response.json()) as RTCConfiguration;
  }

  /** Paths break (a phone changes from Wi-Fi to mobile): look for another one before giving up. */
  private watch(peer: RTCPeerConnection): void {
    window.clearTimeout(this.restartTimer);
    switch (peer.connectionState) {
      case "connected":
        this.restarts = 0;
        break;
      case "disconnected":
        this.restartTimer = window.setTimeout(() => void this.restart(peer), RESTART_AFTER);
        break;
      case "failed":
        void this.restart(peer);
        break;
      case "closed":
        this.lost("the connection broke");
        break;
      default:
        break;
    }
  }

  private async restart(peer: RTCPeerConnection): Promise<void> {
    if (this.closing) return;
    if (this.restarts >= MOST_RESTARTS) {
      this.lost("the connection broke");
      return;
    }
    this.restarts += 1;
    try {
      peer.restartIce();
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const answer = await ask(this.address, this.resource, this.offer(peer, "PATCH"));
      await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    } catch {
      this.lost("the server does not answer");
    }
  }

  private offer(peer: RTCPeerConnection, method: string): RequestInit {
    return { method, headers: { "Content-Type": "application/sdp" }, body: peer.localDescription?.sdp ?? "" };
  }

  private opened(peer: RTCPeerConnection, channel: RTCDataChannel): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new PathBlocked(blocked)), OPEN_TIMEOUT);
      const blocked = "The server answered, but no audio path to it could be found. A firewall may block UDP; ask for a TURN server.";
      channel.onopen = () => {
        clearTimeout(timer);
        resolve();
      };
      peer.onconnectionstatechange = () => {
        if (peer.connectionState !== "failed") return;
        clearTimeout(timer);
        reject(new PathBlocked(blocked));
      };
    });
  }

  private async exchange(peer: RTCPeerConnection): Promise<void> {
    const response = await ask(this.address, "v1/webrtc", this.offer(peer, "POST"));
    this.resource = response.headers.get("Location") ?? "";
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  private lost(reason: string): void {
    if (this.closing) return;
    this.closing = true;
    window.clearTimeout(this.restartTimer);
    window.clearInterval(this.pingTimer);
    this.peer?.close();
    this.handlers.lost(reason);
  }

  send(message: ClientMessage): void {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  async setMicrophone(track: MediaStreamTrack | null): Promise<void> {
    await this.sender?.replaceTrack(track);
  }

  heard(utterance: string): number | null {
    const source = this.peer?.getReceivers()[0]?.getSynchronizationSources()[0];
    if (!source || !this.anchor || this.anchor.utterance_id !== utterance) return null;
    // The timestamp is that of the packet whose decoding began at `source.timestamp`.
    const age = Math.max(0, (performance.timeOrigin + performance.now() - source.timestamp) / 1000);
    let passed = (source.rtpTimestamp - this.anchor.rtp_timestamp + WRAP) % WRAP;
    if (passed > WRAP / 2) passed -= WRAP;
    const sample = this.anchor.sample + passed + Math.min(age, LONGEST_PACKET) * SAMPLE_RATE;
    return sample < 0 ? null : Math.round(sample);
  }

  sounded(): void {
    // Anchors and RTP timestamps tell more.
  }

  async close(): Promise<void> {
    this.closing = true;
    window.clearTimeout(this.restartTimer);
    window.clearInterval(this.pingTimer);
    this.send({ type: "end" });
    this.peer?.close();
    if (!this.resource) return;
    try {
      await fetch(addressOf(this.address, this.resource), { method: "DELETE", headers: authorised(this.address.key), keepalive: true });
    } catch {
      // The server is gone; so is the session.
    }
  }
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_TIMEOUT);
    peer.onicegatheringstatechange = () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
  });
}
