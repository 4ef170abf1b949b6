import { afterEach, expect, it, vi } from "vitest";

import { addressOf, ask } from "../src/connection/server";
import { fetchOffers } from "../src/offers";

const KEY = "a-key";
afterEach(() => vi.unstubAllGlobals());

function answers(status: number, body: unknown): RequestInit[] {
  const asked: RequestInit[] = [];
  vi.stubGlobal("fetch", async (_: URL, request: RequestInit) => {
    asked.push(request);
    return new Response(JSON.stringify(body), { status });
  });
  return asked;
}

it.each([
  ["https://voice.example", "https://voice.example/v1/session"],
  ["https://example.org/parley", "https://example.org/parley/v1/session"],
  ["https://example.org/parley/", "https://example.org/parley/v1/session"],
])("finds a path below %s", (server, found) => {
  expect(addressOf({ server, key: "" }, "v1/session").href).toBe(found);
});

it("takes the page's own server where none is named, and a resource as the server names it", () => {
  vi.stubGlobal("document", { baseURI: "https://example.org/talk/index.html" });
  expect(addressOf({ server: "", key: "" }, "v1/client").href).toBe("https://example.org/talk/v1/client");
  expect(addressOf({ server: "https://voice.example/", key: "" }, "/v1/webrtc/abc").href).toBe("https://voice.example/v1/webrtc/abc");
});

it("says what is wrong with an address that is none", async () => {
  await expect(ask({ server: "voice.example", key: "" }, "v1/client")).rejects.toThrow('"voice.example" is no address');
});

it("sends the key, and says why it was turned away", async () => {
  const asked = answers(401, { code: "unauthorized", message: "The API key is missing or wrong." });
  const address = { server: "https://voice.example/", key: KEY };
  await expect(ask(address, "v1/client", { headers: { "Content-Type": "text/plain" } })).rejects.toMatchObject({ status: 401, message: "The API key is missing or wrong." });
  expect(asked[0]?.headers).toEqual({ "Content-Type": "text/plain", Authorization: `Bearer ${KEY}` });
});

it("keeps of what is offered what a browser can use", async () => {
  answers(200, { transports: ["memory", "websocket", "webrtc"], models: { llm: "script" } });
  expect(await fetchOffers({ server: "https://voice.example/", key: "" })).toEqual({ transports: ["websocket", "webrtc"], models: { llm: "script" } });
});
