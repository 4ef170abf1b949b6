// Where Parley is, and how it is asked over HTTP.

import { problemOf, ServerProblem, serverGone } from "../problems.js";

export interface ServerAddress {
  /** Such as "https://voice.example/"; empty for the server that the page itself came from. */
  readonly server: string;
  /** Empty where the server asks for none. */
  readonly key: string;
}

/** A path of this server. Raises a ServerProblem when its address is none. */
export function addressOf({ server }: ServerAddress, path: string): URL {
  if (!server) return new URL(path, document.baseURI);
  try {
    return new URL(path, server.endsWith("/") ? server : `${server}/`);
  } catch {
    throw new ServerProblem(400, `"${server}" is no address; it should look like https://voice.example/.`);
  }
}

/** The answer to a request with the key. Raises a ServerProblem for every other one than a good one. */
export async function ask(address: ServerAddress, path: string, request: RequestInit = {}): Promise<Response> {
  const url = addressOf(address, path);
  const headers = authorised(address.key, request.headers as Record<string, string> | undefined);
  let response: Response;
  try {
    response = await fetch(url, { ...request, headers });
  } catch {
    throw serverGone();
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export function authorised(key: string, headers: Record<string, string> = {}): Record<string, string> {
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}
