// OpenAI's client for JavaScript against Parley's Realtime endpoint; run by tests/clients/test_realtime.py.
// It speaks TLS only, whatever the base URL says: a small proxy stands where `parley up --https` would.
import assert from "node:assert/strict";
import { createServer } from "node:https";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { COUNT, KEY, Microphone, URL as SERVER, alike, checkHeard, checkTaken, seconds, told, until } from "./talk.mjs";

let proxy;
const ends = new Set();

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
    for (const side of [socket, server]) {
      side.on("error", () => side.destroy());
      side.on("close", () => (socket.destroy(), server.destroy(), ends.delete(socket)));
    }
    ends.add(socket);
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
});

after(() => proxy.close());

async function talking(conversation, props = {}) {
  const client = new OpenAI({ apiKey: KEY, baseURL: `https://127.0.0.1:${proxy.address().port}/v1` });
  const options = { ca: process.env.PARLEY_TEST_TLS_CERT };
  const socket = new OpenAIRealtimeWS({ model: "gpt-realtime", options, ...props }, client);
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
  talk.tell = (role, text) => {
    const content = [{ type: role === "user" ? "input_text" : "output_text", text }];
    socket.send({ type: "conversation.item.create", item: { type: "message", role, content } });
  };
  talk.ask = (text) => {
    talk.tell("user", text);
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

test("the model is told the words that the client is told", () =>
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
    checkHeard(heard, 3, 12);
  }));

test("who takes the floor is told to the model with the words that were heard", () =>
  talking(async (talk) => {
    talk.ask("Tell me a story");
    await until(() => seconds(talk.audio) > 3);
    await talk.microphone.say("interruption");
    await until(() => talk.of("input_audio_buffer.speech_started")[0]);
    await until(() => talk.of("response.done")[1]);
    assert.equal(talk.of("response.done")[0].response.status_details.reason, "turn_detected");
    checkTaken(await told());
  }));

test("a nod does not end the reply and the model is told all of it", () =>
  talking(async (talk) => {
    talk.ask(COUNT);
    await until(() => seconds(talk.audio) > 0.5);
    await talk.microphone.say("nod");
    const done = await until(() => talk.of("response.done")[0]);
    assert.equal(done.response.status, "completed");
    assert.equal(talk.of("input_audio_buffer.speech_started").length, 0);
    talk.ask("Good morning");
    await until(() => talk.of("response.done")[1]);
    assert.deepEqual(await told(), [["user", COUNT], ["assistant", `You said: ${COUNT}.`], ["user", "Good morning"]]);
  }));

test("a function is called and its result is told to the model", () =>
  talking(async (talk) => {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const weather = { type: "function", name: "weather", description: "How the weather is.", parameters };
    talk.socket.send({ type: "session.update", session: { type: "realtime", tools: [weather] } });
    talk.ask("Use the tool, please");
    const call = await until(() => talk.of("response.function_call_arguments.done")[0]);
    assert.deepEqual(JSON.parse(call.arguments), { city: "Rome" });
    await until(() => talk.of("response.done")[0]);
    const item = { type: "function_call_output", call_id: call.call_id, output: "sunny in Rome" };
    talk.socket.send({ type: "conversation.item.create", item });
    talk.socket.send({ type: "response.create" });
    const done = await until(() => talk.of("response.done")[1]);
    assert.equal(done.response.output[0].content[0].transcript.trim(), "The answer is sunny in Rome.");
    assert.deepEqual((await told()).map(([role]) => role), ["user", "assistant", "tool"]);
  }));

test("a model that fails ends the response, what is wrong is said, and the session lives on", () =>
  talking(async (talk) => {
    talk.socket.send({ type: "response.cancel", event_id: "mine" });
    const error = await until(() => talk.errors.shift());
    assert.equal(error.error.code, "response_cancel_not_active");
    assert.equal(error.error.event_id, "mine");
    talk.ask("Please fail");
    const failed = await until(() => talk.of("response.done")[0]);
    assert.equal(failed.response.status, "failed");
    talk.ask("Good morning");
    const done = await until(() => talk.of("response.done")[1]);
    assert.equal(done.response.status, "completed");
    const messages = await told();
    assert.deepEqual([messages[0], messages.at(-1)], [["user", "Please fail"], ["user", "Good morning"]]);
  }));

test("after a connection that broke the client makes another, and the model is told what the program says again", () =>
  talking(
    async (talk) => {
      let back = 0;
      talk.socket.on("reconnected", () => (back += 1));
      talk.ask("Good morning");
      await until(() => talk.of("response.done")[0]);
      talk.microphone.close(); // nobody can hear it meanwhile, and the client says so of each piece
      for (const end of ends) end.destroy();
      await until(() => back);
      await until(() => talk.of("session.created")[1]);
      talk.tell("user", "Good morning");
      talk.tell("assistant", "You said: Good morning.");
      talk.ask("And good night");
      await until(() => talk.of("response.done")[1]);
      const said = [["user", "Good morning"], ["assistant", "You said: Good morning."], ["user", "And good night"]];
      assert.deepEqual(await told(), said);
    },
    { reconnect: true, reconnectInitialDelay: 100 },
  ));
