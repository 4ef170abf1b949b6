// OpenAI's client for JavaScript against Parley's Realtime endpoint; run by tests/clients/test_realtime.py.
// It speaks TLS only, whatever the base URL says: a small proxy stands where `parley up --https` would.
import assert from "node:assert/strict";
import { createServer } from "node:https";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { KEY, Microphone, URL as SERVER, alike, seconds, told, until } from "./talk.mjs";

let proxy;

before(async () => {
  const { hostname, port } = new URL(SERVER);
  proxy = createServer({ key: process.env.PARLEY_TEST_TLS_KEY, cert: process.env.PARLEY_TEST_TLS_CERT });
  proxy.on("upgrade", (request, socket, head) => {
    const server = connect(Number(port), hostname, () => {
      const headers = { ...request.headers, host: `${hostname}:${port}` };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      server.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
      server.write(head);
      socket.pipe(server).pipe(socket);
    });
    for (const side of [socket, server]) side.on("error", () => (socket.destroy(), server.destroy()));
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
});

after(() => proxy.close());

async function talking(conversation) {
  const client = new OpenAI({ apiKey: KEY, baseURL: `https://127.0.0.1:${proxy.address().port}/v1` });
  const options = { ca: process.env.PARLEY_TEST_TLS_CERT };
  const socket = new OpenAIRealtimeWS({ model: "gpt-realtime", options }, client);
  const talk = { socket, events: [], errors: [], audio: 0 };
  talk.of = (type) => talk.events.filter((event) => event.type === type);
  socket.on("event", (event) => talk.events.push(event));
  socket.on("error", (error) => talk.errors.push(error));
  socket.on("response.output_audio.delta", (event) => (talk.audio += Buffer.from(event.delta, "base64").length));
  await until(() => talk.of("session.created")[0]);
  const microphone = new Microphone((pcm) =>
    socket.send({ type: "input_audio_buffer.append", audio: pcm.toString("base64") }),
  );
  talk.microphone = microphone;
  talk.ask = (text) => {
    const content = [{ type: "input_text", text }];
    socket.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    socket.send({ type: "response.create" });
  };
  try {
    await conversation(talk);
    assert.deepEqual(talk.errors, []);
  } finally {
    microphone.close();
    socket.close();
  }
}

test("a typed turn is answered in words and sound", () =>
  talking(async (talk) => {
    talk.ask("Good morning");
    const done = await until(() => talk.of("response.done")[0]);
    assert.equal(done.response.output[0].content[0].transcript.trim(), "You said: Good morning.");
    assert.ok(seconds(talk.audio) > 0.5);
    assert.deepEqual(await told(), [["user", "Good morning"]]);
  }));

test("a spoken turn is written down and answered", () =>
  talking(async (talk) => {
    const transcription = { model: "gpt-4o-mini-transcribe" };
    talk.socket.send({ type: "session.update", session: { type: "realtime", audio: { input: { transcription } } } });
    await talk.microphone.say("question");
    await until(() => talk.of("response.done")[0]);
    const written = await until(() => talk.of("conversation.item.input_audio_transcription.completed")[0]);
    assert.ok(alike((await told())[0][1], written.transcript));
  }));

test("a reply that is truncated is told to the model as far as it was played", () =>
  talking(async (talk) => {
    talk.ask("Tell me a story");
    await until(() => seconds(talk.audio) > 3);
    const item = talk.of("response.output_item.added")[0].item.id;
    talk.socket.send({ type: "response.cancel" });
    talk.socket.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: 2000 });
    await until(() => talk.of("conversation.item.truncated")[0]);
    talk.ask("Go on");
    await until(() => talk.of("response.done")[1]);
    const [, [role, heard]] = await told();
    assert.equal(role, "assistant");
    assert.ok(heard.startsWith("This is sentence"));
    assert.ok(heard.split(" ").length <= 12, heard);
  }));
