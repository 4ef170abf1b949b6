// The audio thread's ends of a WebSocket, run block by block as a browser does.

import { beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { FromPlayer, ToPlayer } from "../src/audio/socket-messages";
import { heardAt, packMicrophone, placeAfter, unpackAgent, type Place } from "../src/audio/socket-messages";

interface Processor {
  readonly port: { onmessage: ((event: { data: ToPlayer }) => void) | null; postMessage(message: unknown): void };
  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}

const made: Record<string, new () => Processor> = {};
let told: FromPlayer[] = [];

beforeAll(async () => {
  Object.assign(globalThis, {
    currentTime: 0,
    sampleRate: 48_000,
    registerProcessor: (name: string, processor: new () => Processor) => (made[name] = processor),
    AudioWorkletProcessor: class {
      port = { onmessage: null, postMessage: (message: FromPlayer) => told.push(message) };
    },
  });
  await import("../src/audio/socket.worklet");
});

let player: Processor;
const tell = (message: ToPlayer): void => player.port.onmessage?.({ data: message });
const say = (number: number, start: number, samples = 960): void =>
  tell({ kind: "audio", number, start, pcm: new Int16Array(samples).fill(16_384).buffer });
const stops = (): FromPlayer[] => told.filter((message) => message.kind === "stopped");

function play(blocks: number): number {
  let loud = 0;
  for (let block = 0; block < blocks; block += 1) {
    const output = new Float32Array(128);
    player.process([], [[output]]);
    loud += output.filter((sample) => sample !== 0).length;
  }
  return loud;
}

beforeEach(() => {
  told = [];
  player = new (made.player as new () => Processor)();
});

describe("the player", () => {
  it("plays every sample once", () => {
    say(1, 0);
    say(1, 960);
    expect(play(20)).toBe(1_920);
  });

  it("says where a pause fell, and goes on with the very next sample", () => {
    say(1, 0);
    say(1, 960);
    const before = play(3);
    tell({ kind: "pause", number: 1 });
    const fading = play(4);
    const [stop] = stops();
    expect(stop).toMatchObject({ number: 1 });
    // The last sample of the fade is silent.
    const heard = stop?.kind === "stopped" ? stop.sample : 0;
    expect(heard).toBeGreaterThanOrEqual(before + fading);
    expect(heard).toBeLessThan(before + 200);
    tell({ kind: "resume" });
    expect(play(20)).toBe(1_920 - heard);
  });

  it("answers a pause that is taken back within its fade", () => {
    say(1, 0);
    play(1);
    tell({ kind: "pause", number: 1 });
    tell({ kind: "resume" });
    expect(stops()).toHaveLength(1);
  });

  it("drops what was cleared, and what still comes of it", () => {
    say(1, 0);
    play(2);
    tell({ kind: "clear", number: 1 });
    say(1, 960);
    say(2, 0);
    expect(stops()).toEqual([{ kind: "stopped", number: 1, sample: 256 }]);
    expect(play(20)).toBe(960);
  });

  it("leaves a reply alone that has begun when an older one is cleared", () => {
    say(2, 0);
    const before = play(2);
    tell({ kind: "clear", number: 1 });
    expect(stops()).toEqual([{ kind: "stopped", number: 1, sample: 0 }]);
    expect(before + play(20)).toBe(960);
  });

  it("forgets what is left of a reply when the next one begins", () => {
    say(1, 0);
    tell({ kind: "begin", number: 2 });
    say(2, 0);
    expect(play(20)).toBe(960);
  });

  it("holds no more than half a minute", () => {
    for (let piece = 0; piece < 2_000; piece += 1) say(1, piece * 960);
    expect(play(16_000)).toBe(1_500 * 960);
  });

  it("stops working at the end", () => {
    tell({ kind: "end" });
    expect(player.process([], [[new Float32Array(128)]])).toBe(false);
  });
});

describe("what is heard of what was played", () => {
  it("comes to the last sample, however late a loudspeaker is", () => {
    for (const latency of [0, 0.04, 0.2, 0.6]) {
      let place: Place | null = null;
      let heard = 0;
      for (let news = 0; news < 100; news += 1) {
        const time = news * 0.021;
        const sample = Math.min(48_000, Math.round(time * 48_000));
        place = placeAfter(place, { kind: "at", number: 1, sample, time, playing: sample < 48_000 });
        const now = heardAt(place, time, latency);
        expect(now).toBeGreaterThanOrEqual(heard === 0 ? now : heard);
        expect(now).toBeLessThanOrEqual(48_000);
        heard = now;
      }
      expect(heard).toBe(48_000);
    }
  });
});

describe("the microphone's end", () => {
  const tone = (hertz: number): number => {
    const capture = new (made.capture as new () => Processor)();
    told = [];
    for (let block = 0; block < 375; block += 1) {
      capture.process([[Float32Array.from({ length: 128 }, (_, at) => 0.5 * Math.sin((2 * Math.PI * hertz * (block * 128 + at)) / 48_000))]], []);
    }
    const frames = told as unknown as ArrayBuffer[];
    expect(frames).toHaveLength(100);
    const samples = frames.slice(10).flatMap((frame) => [...new Int16Array(frame)]);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) / 32_768;
  };

  it("keeps speech and drops what would fold back into it", () => {
    expect(tone(1_000)).toBeCloseTo(0.5 / Math.SQRT2, 2);
    expect(tone(12_000)).toBeLessThan(0.001);
  });

  it("packs and unpacks messages as the protocol has them", () => {
    expect([...new Uint8Array(packMicrophone(new Int16Array([1, -1]).buffer))]).toEqual([1, 0, 0, 0, 1, 0, 255, 255]);
    const message = new ArrayBuffer(18);
    const view = new DataView(message);
    view.setUint8(0, 2);
    view.setUint32(4, 7, true);
    view.setBigUint64(8, 960n, true);
    view.setInt16(16, -2, true);
    expect(unpackAgent(message)).toMatchObject({ number: 7, start: 960 });
    expect(unpackAgent(new ArrayBuffer(3))).toBeNull();
  });
});
