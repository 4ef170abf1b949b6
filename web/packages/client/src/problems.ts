// Failures in plain words: what happened, and what to do about it.

/** What a trouble is about, for pages with words of their own. */
export type TroubleCode =
  | "microphone_refused"
  | "microphone_missing"
  | "microphone_busy"
  | "microphone_failed"
  | "microphone_muted"
  | "microphone_silent"
  | "microphone_replaced"
  /** A Bluetooth headset in its telephone mode: everything sounds dull. */
  | "microphone_narrow"
  | "insecure_page"
  /** The sound goes over a WebSocket because a firewall keeps the direct path out. */
  | "detour"
  /** The key is missing or wrong. */
  | "unauthorized"
  | "server_full"
  | "server_gone"
  | "path_blocked"
  /** The server will not have it, and trying again does not help. */
  | "refused"
  /** The connection was lost, and could not be had again. */
  | "lost"
  | "other";

export interface Trouble {
  readonly code: TroubleCode;
  /** What happened, and what to do about it. */
  readonly text: string;
}

export const INSECURE_PAGE: Trouble = {
  code: "insecure_page",
  text: "Browsers offer microphone and sound only on https:// addresses or on localhost. Start Parley with --https and open the address that it prints.",
};

export function microphoneProblem(error: unknown): Trouble {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        code: "microphone_refused",
        text: "The browser does not let this page use the microphone. Allow it beside the address bar and connect again; until then you can type.",
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return { code: "microphone_missing", text: "No microphone was found. Plug one in and connect again; until then you can type." };
    case "NotReadableError":
    case "AbortError":
      return { code: "microphone_busy", text: "Another program holds the microphone. Close it and connect again; until then you can type." };
    case "TypeError":
      return INSECURE_PAGE;
    default:
      return { code: "microphone_failed", text: "The microphone could not be opened. You can type instead." };
  }
}

export const MUTED_BY_SYSTEM: Trouble = {
  code: "microphone_muted",
  text: "The system has muted the microphone. Unmute it there, or type.",
};
export const NARROW_MICROPHONE: Trouble = {
  code: "microphone_narrow",
  text: "The Bluetooth headset is in its telephone mode, because its microphone is in use: both voices sound dull. Choose another microphone under Settings, and it plays music quality again.",
};
export const DETOUR: Trouble = {
  code: "detour",
  text: "A firewall keeps the direct audio path out, so the sound goes over a WebSocket: about as good, but a slow network is heard sooner.",
};
export const SILENT_MICROPHONE: Trouble = {
  code: "microphone_silent",
  text: "I can't hear you: the microphone gives no sound at all. Switch it on, or choose another one under Settings; until then you can type.",
};

export function microphoneReplaced(label: string): Trouble {
  const next = label || "the next one";
  return { code: "microphone_replaced", text: `The microphone was unplugged. Now listening with ${next}; choose another one under Settings.` };
}

export function connectionLost(reason: string): Trouble {
  return { code: "lost", text: `The connection is lost (${reason}). Check the server, then start again.` };
}

/** Why there is no connection. */
export function connectionProblem(error: unknown): Trouble {
  if (error instanceof TroubleError) return error.trouble;
  if (error instanceof ServerProblem) return { code: error.code, text: error.message };
  return { code: "other", text: error instanceof Error ? error.message : String(error) };
}

/** A trouble that is known by name where it happens. */
export class TroubleError extends Error {
  readonly trouble: Trouble;

  constructor(trouble: Trouble) {
    super(trouble.text);
    this.trouble = trouble;
  }
}

/** An answer of the server that is not the one hoped for. */
export class ServerProblem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  get code(): TroubleCode {
    if (this.status === 0) return "server_gone";
    if (this.status === 401) return "unauthorized";
    return this.status === 429 || this.status === 503 ? "server_full" : "refused";
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

  override get code(): TroubleCode {
    return "path_blocked";
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
