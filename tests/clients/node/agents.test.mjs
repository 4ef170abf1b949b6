// OpenAI's Agents SDK for JavaScript against Parley's Realtime endpoint; run by tests/clients/test_realtime.py.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync } from "node:fs";
import { promisify } from "node:util";
import { test } from "node:test";
import { hostedMcpTool } from "@openai/agents-core";
import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } from "@openai/agents-realtime";
import { z } from "zod";
import { COUNT, KEY, Microphone, URL, alike, checkHeard, checkTaken, line, seconds, told, until } from "./talk.mjs";

const weather = tool({
  name: "weather",
  description: "How the weather is.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

async function talking(conversation, server = URL, tools = [weather]) {
  const agent = new RealtimeAgent({ name: "Assistant", instructions: "Be brief.", tools });
  const url = `${server.replace("http", "ws")}/v1/realtime?model=gpt-realtime`;
  const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ url }) });
  const talk = { session, events: [], errors: [], interrupted: 0, audio: 0 };
  talk.of = (type) => talk.events.filter((event) => event.type === type);
  session.on("error", (error) => talk.errors.push(error));
  session.on("audio", (event) => (talk.audio += event.data.byteLength));
  session.on("audio_interrupted", () => (talk.interrupted += 1));
  session.transport.on("*", (event) => talk.events.push(event));
  await session.connect({ apiKey: KEY, url });
  talk.microphone = new Microphone((pcm) =>
    session.sendAudio(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.length)),
  );
  try {
    await conversation(talk);
    assert.deepEqual(talk.errors, []);
  } finally {
    talk.microphone.close();
    session.close();
  }
}

const said = (done) => done.response.output.at(-1).content[0].transcript.trim();

test("a typed turn is answered in words and sound", () =>
  talking(async (talk) => {
    talk.session.sendMessage("Good morning");
    const done = await until(() => talk.of("response.done")[0]);
    assert.equal(said(done), "You said: Good morning.");
    assert.ok(seconds(talk.audio) > 0.5);
    assert.deepEqual(await told(), [["user", "Good morning"]]);
  }));

test("the model is told the words that stand in the history", () =>
  talking(async (talk) => {
    await talk.microphone.say("question");
    await until(() => talk.of("response.done")[0]);
    const words = () => talk.session.history.find((item) => item.role === "user")?.content[0].transcript;
    const heard = (await until(words)).trim();
    assert.ok(alike((await told())[0][1], heard));
  }));

test("a function is called and its result is said", () =>
  talking(async (talk) => {
    talk.session.sendMessage("Use the tool, please");
    const done = await until(() => talk.of("response.done")[1]);
    assert.equal(said(done), "The answer is sunny in Rome.");
    assert.deepEqual((await told()).map(([role]) => role), ["user", "assistant", "tool"]);
  }));

// A tool of the program's that waits: what the person decides is what the model is told.
async function booking(decide) {
  const rooms = [];
  const book = tool({
    name: "book",
    description: "Book a room.",
    parameters: z.object({ city: z.string() }),
    needsApproval: true,
    execute: async ({ city }) => (rooms.push(city), `a room in ${city}`),
  });
  await talking(
    async (talk) => {
      let request;
      talk.session.on("tool_approval_requested", (context, agent, asked) => (request = asked));
      talk.session.sendMessage("Use the tool, please");
      await until(() => request && talk.of("response.done")[0]);
      assert.deepEqual(rooms, []);
      await decide(talk.session, request.approvalItem);
      const done = await until(() => talk.of("response.done")[1]);
      const [role, result] = (await told()).at(-1);
      assert.equal(role, "tool");
      assert.equal(said(done), `The answer is ${result}.`);
    },
    URL,
    [book],
  );
  return [rooms, (await told()).at(-1)[1]];
}

test("a tool that needs approval is called once it has it", async () => {
  const done = await booking((session, item) => session.approve(item));
  assert.deepEqual(done, [["Rome"], "a room in Rome"]);
});

test("a tool that is not approved is not called, and the model is told so", async () => {
  const [rooms, result] = await booking((session, item) => session.reject(item));
  assert.deepEqual(rooms, []);
  assert.match(result, /not approved/);
});

test("a tool of an MCP server that is not approved is not called, and the model is told so", () =>
  talking(
    async (talk) => {
      talk.session.on("tool_approval_requested", (context, agent, request) => talk.session.reject(request.approvalItem));
      await until(() => talk.session.availableMcpTools.length);
      talk.session.sendMessage("Use the tool, please");
      await until(() => talk.of("response.done")[0]);
      assert.deepEqual(talk.of("response.mcp_call.in_progress"), []);
      const [role, result] = (await told()).at(-1);
      assert.equal(role, "tool");
      assert.match(result, /not approved/);
    },
    URL,
    [hostedMcpTool({ serverLabel: "house", serverUrl: process.env.PARLEY_TEST_MCP, allowedTools: ["lamps"], requireApproval: "always" })],
  ));

test("a tool of an MCP server is approved, called, and its result is said", () =>
  talking(
    async (talk) => {
      const asked = [];
      talk.session.on("tool_approval_requested", (context, agent, request) => {
        asked.push(request);
        talk.session.approve(request.approvalItem);
      });
      await until(() => talk.of("mcp_list_tools.completed")[0]);
      await until(() => talk.session.availableMcpTools.length);
      talk.session.sendMessage("Use the tool, please");
      const done = await until(() => talk.of("response.done")[0]);
      assert.equal(done.response.output.find((item) => item.type === "message").content[0].transcript.trim(), "The answer is The kitchen lamp is on..");
      assert.equal(asked.length, 1);
      await until(() => talk.of("response.done")[1]); // the SDK asks for what was said already
      assert.deepEqual(talk.of("response.done")[1].response.output, []);
      assert.deepEqual((await told()).map(([role]) => role), ["user", "assistant", "tool"]);
    },
    URL,
    [hostedMcpTool({ serverLabel: "house", serverUrl: process.env.PARLEY_TEST_MCP, allowedTools: ["lamps"], requireApproval: "always" })],
  ));

test("who takes the floor is told to the model with the words that were heard", () =>
  talking(async (talk) => {
    talk.session.sendMessage("Tell me a story");
    await until(() => seconds(talk.audio) > 3);
    await talk.microphone.say("interruption");
    await until(() => talk.of("response.done")[1]);
    assert.equal(talk.of("response.done")[0].response.status, "cancelled");
    assert.ok(talk.interrupted);
    assert.equal(talk.of("conversation.item.truncated").length, 1);
    checkTaken(await told());
  }));

test("a nod does not end the reply and the model is told all of it", () =>
  talking(async (talk) => {
    talk.session.sendMessage(COUNT);
    await until(() => seconds(talk.audio) > 0.5);
    await talk.microphone.say("nod");
    const done = await until(() => talk.of("response.done")[0]);
    assert.equal(done.response.status, "completed");
    assert.equal(talk.interrupted, 0);
    talk.session.sendMessage("Good morning");
    await until(() => talk.of("response.done")[1]);
    assert.deepEqual(await told(), [["user", COUNT], ["assistant", `You said: ${COUNT}.`], ["user", "Good morning"]]);
  }));

test("a model that fails ends the response and not the session", () =>
  talking(async (talk) => {
    talk.session.sendMessage("Please fail");
    const failed = await until(() => talk.of("response.done")[0]);
    assert.equal(failed.response.status, "failed");
    talk.session.sendMessage("Good morning");
    const done = await until(() => talk.of("response.done")[1]);
    assert.equal(done.response.status, "completed");
    const messages = await told();
    assert.deepEqual([messages[0], messages.at(-1)], [["user", "Please fail"], ["user", "Good morning"]]);
  }));

test("a reply that is truncated by the program is told to the model as far as it was played", () =>
  talking(async (talk) => {
    talk.session.sendMessage("Tell me a story");
    await until(() => seconds(talk.audio) > 3);
    talk.session.interrupt();
    await until(() => talk.of("response.done")[0]);
    talk.session.sendMessage("Go on");
    await until(() => talk.of("response.done")[1]);
    const [, [role, heard]] = await told();
    assert.equal(role, "assistant");
    checkHeard(heard, 3, 30);
  }));

test("after a connection that broke the model is told all that was said", async () => {
  const way = await line();
  let history;
  try {
    await talking(async (talk) => {
      let state;
      talk.session.transport.on("connection_change", (status) => (state = status));
      talk.session.sendMessage("Good morning");
      await until(() => talk.of("response.done")[0]);
      history = await until(() => talk.session.history.length === 2 && talk.session.history);
      way.cut();
      await until(() => state === "disconnected");
    }, way.url);
    await talking(async (talk) => {
      // What the agent said in sound goes into another conversation as text: the SDK insists.
      const text = ({ transcript }) => ({ type: "output_text", text: transcript });
      const again = (item) => (item.role === "assistant" ? { ...item, content: item.content.map(text) } : item);
      talk.session.updateHistory(history.map(again));
      await until(() => talk.of("conversation.item.done").length === 2);
      talk.session.sendMessage("And good night");
      await until(() => talk.of("response.done")[0]);
      const said = [["user", "Good morning"], ["assistant", "You said: Good morning."], ["user", "And good night"]];
      assert.deepEqual(await told(), said);
    }, way.url);
  } finally {
    way.close();
  }
});

test("the example writes what is said", async () => {
  copyFileSync(`${process.env.PARLEY_TEST_EXAMPLES}/openai_realtime/agents_sdk.mjs`, "example.mjs");
  const env = { ...process.env, PARLEY_URL: URL, PARLEY_API_KEY: KEY };
  const { stdout } = await promisify(execFile)(process.execPath, ["example.mjs", "Good morning"], { env, timeout: 30_000 });
  assert.equal(stdout.trim(), "You said: Good morning.");
});
