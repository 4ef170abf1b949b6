// Failures in plain words: what happened, and what to do about it.

export function microphoneProblem(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser does not let this page use the microphone. Allow it beside the address bar and connect again; until then you can type.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone was found. Plug one in and connect again; until then you can type.";
    case "NotReadableError":
    case "AbortError":
      return "Another program holds the microphone. Close it and connect again; until then you can type.";
    case "TypeError":
      return "Browsers offer the microphone only on https:// addresses or on localhost. Start Parley with --https, or type.";
    default:
      return "The microphone could not be opened. You can type instead.";
  }
}

export const MUTED_BY_SYSTEM =
  "The system has muted the microphone. Unmute it there, or type.";
export const DETOUR =
  "A firewall keeps the direct audio path out, so the sound goes over a WebSocket: about as good, but a slow network is heard sooner.";
export const SILENT_MICROPHONE =
  "I can't hear you: the microphone gives no sound at all. Switch it on, or choose another one under Settings; until then you can type.";

export function microphoneReplaced(label: string): string {
  return `The microphone was unplugged. Now listening with ${label || "the next one"}; choose another one under Settings.`;
}

/** An answer of the server that is not the one hoped for. */
export class ServerProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** True when asking again later may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The server answers, but its sound can not pass: a firewall keeps UDP out. */
export class PathBlocked extends ServerProblem {
  constructor(message: string) {
    super(0, message);
  }
}

export async function problemOf(response: Response): Promise<ServerProblem> {
  let message = "";
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null) {
      const { message: text, detail } = body as { message?: unknown; detail?: unknown };
      if (typeof text === "string") message = text;
      else if (typeof detail === "string") message = detail;
    }
  } catch {
    // The status says enough.
  }
  if (response.status === 401) message ||= "This server asks for a key. Enter it under Settings and connect again.";
  if (response.status === 503) message ||= "The server cannot take another conversation right now. Try again in a moment.";
  return new ServerProblem(response.status, message || `The server answered with status ${response.status}.`);
}

export function serverGone(): ServerProblem {
  return new ServerProblem(0, "The server does not answer. Check that Parley is running and reachable from here.");
}
