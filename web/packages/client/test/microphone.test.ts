import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Microphone, narrow } from "../src/audio/microphone";

class Track extends EventTarget {
  enabled = true;
  stopped = false;
  label = "Microphone";
  getSettings(): MediaTrackSettings {
    return { sampleRate: 48_000 };
  }
  stop(): void {
    this.stopped = true;
  }
}

class Stream {
  readonly track = new Track();
  getTracks(): Track[] {
    return [this.track];
  }
  getAudioTracks(): Track[] {
    return [this.track];
  }
}

let waiting: { give(stream: Stream): void; refuse(error: Error): void; wanted: MediaTrackConstraints }[];
let told: string[];
let microphone: Microphone;

beforeEach(() => {
  waiting = [];
  told = [];
  const getUserMedia = ({ audio }: { audio: MediaTrackConstraints }): Promise<Stream> =>
    new Promise((give, refuse) => waiting.push({ give, refuse, wanted: audio }));
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
  microphone = new Microphone({
    trouble: ({ code }) => told.push(code),
    mended: ({ code }) => told.push(`no longer: ${code}`),
    gone: () => told.push("gone"),
  });
});
afterEach(() => vi.unstubAllGlobals());

async function opened(stream = new Stream()): Promise<Stream> {
  const opening = microphone.open("");
  waiting.at(-1)?.give(stream);
  await opening;
  return stream;
}

it("lets go of what comes after the person has left", async () => {
  const opening = microphone.open("");
  const stream = new Stream();
  microphone.close();
  waiting[0]?.give(stream);
  expect(await opening).toBeNull();
  expect(stream.track.stopped).toBe(true);
  expect(microphone.stream).toBeNull();
});

it("keeps the one that was asked for last, whichever comes first", async () => {
  const first = microphone.open("one");
  const second = microphone.open("two");
  const [late, wanted] = [new Stream(), new Stream()];
  waiting[1]?.give(wanted);
  waiting[0]?.give(late);
  await Promise.all([first, second]);
  expect(microphone.stream).toBe(wanted);
  expect([late.track.stopped, wanted.track.stopped]).toEqual([true, false]);
});

it("is muted from the first sample where it was muted before", async () => {
  microphone.muted = true;
  expect((await opened()).track.enabled).toBe(false);
  microphone.muted = false;
  expect(microphone.track?.enabled).toBe(true);
});

it("says that it was refused, and that it was unplugged", async () => {
  const opening = microphone.open("");
  waiting[0]?.refuse(Object.assign(new Error(), { name: "NotAllowedError" }));
  expect(await opening).toBeNull();
  expect(told[0]).toBe("microphone_refused");
  const { track } = await opened();
  track.dispatchEvent(new Event("ended"));
  expect(told.at(-1)).toBe("gone");
});

it("tells of six seconds without any sound, until there is one", async () => {
  await opened();
  const hear = (level: number, time: number): void => microphone.hear({ level, voiced: false, onset: false, time });
  hear(0, 1);
  hear(0, 6.9);
  expect(told).toEqual([]);
  hear(0, 7.1);
  expect(told).toEqual(["microphone_silent"]);
  hear(0.01, 7.2);
  expect(told[1]).toBe("no longer: microphone_silent");
  hear(0, 20);
  expect(told).toHaveLength(2);
});

it.each([
  ["Headset (WH-1000XM4 Hands-Free AG Audio) (Bluetooth)", 48_000, true],
  ["AirPods Pro", 16_000, true],
  ["Bluetooth headset", 8_000, true],
  ["Bluetooth headset", 48_000, false],
  ["AirPods Pro", undefined, false],
  ["Webcam", 16_000, false],
])("%s at %s Hz is in its telephone mode: %s", (label, rate, expected) => {
  expect(narrow(label, rate)).toBe(expected);
});

it("insists on the one that was chosen, and takes the usual one where that is gone", async () => {
  const opening = microphone.open("desk");
  expect(waiting[0]?.wanted.deviceId).toEqual({ exact: "desk" });
  waiting[0]?.refuse(new DOMException("", "OverconstrainedError"));
  await vi.waitUntil(() => waiting.length === 2);
  expect(waiting[1]?.wanted.deviceId).toBeUndefined();
  const stream = new Stream();
  waiting[1]?.give(stream);
  expect(await opening).toBe(stream);
  expect(told).toEqual([]);
});

it("asks no second time where the person has said no", async () => {
  const opening = microphone.open("desk");
  waiting[0]?.refuse(new DOMException("", "NotAllowedError"));
  expect(await opening).toBeNull();
  expect(waiting).toHaveLength(1);
  expect(told).toEqual(["microphone_refused"]);
});
