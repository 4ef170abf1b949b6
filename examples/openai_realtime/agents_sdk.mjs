// OpenAI's Agents SDK for JavaScript, pointed at Parley: ask something, read the answer while it is spoken.
//
// uv run parley up
// npm install @openai/agents-realtime zod
// node agents_sdk.mjs "Tell me a story."
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";

const server = (process.env.PARLEY_URL ?? "http://127.0.0.1:8080").replace("http", "ws");
const url = `${server}/v1/realtime?model=gpt-realtime`;

const agent = new RealtimeAgent({ name: "Assistant", instructions: "Be brief." });
const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ url }) });
session.on("error", ({ error }) => console.error(error));
session.transport.on("audio_transcript_delta", ({ delta }) => process.stdout.write(delta));
session.on("agent_end", () => session.close());

await session.connect({ apiKey: process.env.PARLEY_API_KEY ?? "none", url });
session.sendMessage(process.argv[2]);
