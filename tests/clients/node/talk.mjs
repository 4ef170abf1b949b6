// What the programs here share: the sound of the test, a microphone that is open all the time, and the model's prompts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export const URL = process.env.PARLEY_TEST_URL;
export const KEY = process.env.PARLEY_TEST_KEY;
// What is said again while somebody nods.
export const COUNT = "one two three four five six seven eight nine ten eleven twelve thirteen";
// Each sentence of the story that is told by the model's stand-in.
const STORY = "This is sentence number N of a story that goes on for a while.".split(" ");
const RATE = 24_000;
const PIECE = 960; // bytes: 20 ms
const SOON = 20_000;
const HEADER = 44;

// A way to the server that can be cut without a word: whoever talks over it then is alone.
export async function line() {
  const { hostname, port } = new globalThis.URL(URL);
  const ends = new Set();
  const server = createServer((client) => {
    const server = connect(Number(port), hostname);
    for (const [end, other] of [[client, server], [server, client]]) {
      ends.add(end);
      end.on("error", () => other.destroy()).on("close", () => (ends.delete(end), other.destroy()));
    }
    client.pipe(server).pipe(client);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const cut = () => ends.forEach((end) => end.destroy());
  return { url: `http://127.0.0.1:${server.address().port}`, cut, close: () => (cut(), server.close()) };
}

export function sound(name) {
  return readFileSync(`${process.env.PARLEY_TEST_FOLDER}/${name}.wav`).subarray(HEADER);
}

export class Microphone {
  #speech = Buffer.alloc(0);
  #timer;

  constructor(send) {
    const began = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      for (; sent * 20 <= performance.now() - began; sent += 1) {
        const pcm = Buffer.alloc(PIECE);
        this.#speech.copy(pcm, 0, 0, PIECE);
        this.#speech = this.#speech.subarray(PIECE);
        send(pcm);
      }
    }, 10);
  }

  async say(name) {
    this.#speech = sound(name);
    while (this.#speech.length) await sleep(20);
  }

  close() {
    clearInterval(this.#timer);
  }
}

export async function until(what) {
  const began = Date.now();
  for (;;) {
    const found = what();
    if (found) return found;
    if (Date.now() - began > SOON) throw new Error(`never happened: ${what}`);
    await sleep(20);
  }
}

export async function asked() {
  return (await fetch(process.env.PARLEY_TEST_RECORDER)).json();
}

export async function told() {
  const messages = (await asked()).at(-1).messages.filter((message) => message.role !== "system");
  return messages.map((message) => [message.role, (message.content ?? "").trim()]);
}

export function seconds(bytes) {
  return bytes / 2 / RATE;
}

// A last word that came late, and changed nothing, does not begin a reply anew.
export function alike(one, other) {
  const [words, others] = [one, other].map((text) => text.trim().split(" "));
  return words.filter((word) => others.includes(word)).length > 0.7 * Math.max(words.length, others.length);
}

// So many words of the story, from its beginning.
export function checkHeard(heard, least, most) {
  const words = heard.replace(/[. …-]+$/, "").split(" ");
  assert.ok(least <= words.length && words.length <= most, heard);
  const number = (index) => Math.floor(index / STORY.length) + 1;
  const expected = (index) => (STORY[index % STORY.length] === "N" ? `${number(index)}` : STORY[index % STORY.length]);
  words.slice(0, -1).forEach((word, index) => assert.equal(word, expected(index)));
}

// What the model is told when somebody took the floor: the story as far as it was heard, and what they said.
export function checkTaken(messages) {
  const [, [role, heard], [whose, said]] = messages;
  assert.deepEqual([messages.length, role, whose], [3, "assistant", "user"]);
  checkHeard(heard, 4, 40);
  const theirs = new Set(said.toLowerCase().match(/[a-z]+/g));
  assert.ok(["wait", "please", "stop", "another", "question", "you"].filter((word) => theirs.has(word)).length >= 3, said);
}
