// A voice in the corner of any page, by one tag: <script src="https://voice.example/widget.js" data-key="..."></script>
// All of it lives in a closed shadow root: neither the page's styles nor its scripts reach in, and none of ours out.

import { captionOf, Session, stateInWords, type Entry, type Model, type TransportName } from "../src/index.js";
import { MARKUP, STYLE } from "./look.js";

/** Entries that are shown: what was said last. */
const SHOWN = 4;
/** Characters that are shown of what nobody heard. */
const MOST_LOST = 60;

/** What the tag says. */
interface Options {
  /** Where Parley is; the server that the script came from, unless `data-server` names another one. */
  readonly server: string;
  readonly key: string;
  readonly transport: TransportName | "";
  /** Of the button. */
  readonly label: string;
}

function optionsOf(script: HTMLScriptElement): Options {
  const { server, key = "", transport = "", label = "Tap to talk" } = script.dataset;
  return { server: server ?? new URL(".", script.src).href, key, transport: transport as TransportName | "", label };
}

class Widget {
  private readonly host = document.createElement("parley-widget");
  private readonly root = this.host.attachShadow({ mode: "closed" });
  private readonly session: Session;
  private readonly options: Options;
  private scheduled = false;

  constructor(options: Options) {
    this.options = options;
    const { server, key, transport } = options;
    this.session = new Session({ server, key, transport });
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    this.root.adoptedStyleSheets = [style];
    this.root.innerHTML = MARKUP;
    this.session.on("change", () => this.schedule());
    this.session.on("message", (detail) => this.host.dispatchEvent(new CustomEvent("parley-message", { detail, bubbles: true })));
    this.wire();
    this.render(this.session.model);
    document.body.append(this.host);
  }

  private part<T extends HTMLElement>(name: string): T {
    return this.root.querySelector(`[data-part="${name}"]`) as T;
  }

  private wire(): void {
    const { session } = this;
    const talk = this.part("talk");
    talk.addEventListener("click", () => void (session.model.link === "offline" ? session.connect() : session.leave()));
    this.root.addEventListener("pointerdown", () => void session.wake());
    this.root.addEventListener("keydown", (event) => {
      if ((event as KeyboardEvent).key === "Escape" && session.model.agent === "speaking") session.interrupt();
    });
    const text = this.part<HTMLInputElement>("text");
    this.part<HTMLFormElement>("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = text.value.trim();
      if (!typed || session.model.link !== "online") return;
      session.typed(typed);
      text.value = "";
    });
    window.addEventListener("pagehide", () => void session.leave());
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.render(this.session.model);
    });
  }

  private render(model: Model): void {
    const live = model.link !== "offline";
    const talk = this.part("talk");
    talk.setAttribute("aria-label", live ? "Leave" : this.options.label);
    talk.classList.toggle("live", live);
    this.part("panel").hidden = !live && !model.error;
    this.part("form").hidden = !live;
    setText(this.part("state"), live && model.suspended ? "The browser holds the sound back. Tap here." : live ? stateInWords(model) : "");
    setText(this.part("problem"), model.error);
    const said = this.part("said");
    said.replaceChildren(...model.entries.filter((entry) => entry.who !== "tool").slice(-SHOWN).map(line));
    follow(said);
  }
}

function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** The word that sounds stays in view; else the newest words do. */
function follow(said: HTMLElement): void {
  const now = said.querySelector("mark");
  if (!now) said.scrollTop = said.scrollHeight;
  else if (now.offsetTop < said.scrollTop || now.offsetTop + 2 * now.offsetHeight > said.scrollTop + said.clientHeight) {
    said.scrollTop = now.offsetTop - said.clientHeight / 2;
  }
}

function line(entry: Entry): HTMLElement {
  const line = document.createElement("p");
  line.className = entry.who;
  const { heard, now, ahead, lost } = captionOf(entry);
  for (const [tag, text] of [["span", heard], ["mark", now], ["small", ahead], ["del", lost.length > MOST_LOST ? `${lost.slice(0, MOST_LOST)}…` : lost]] as const) {
    if (text) line.append(Object.assign(document.createElement(tag), { textContent: text }));
  }
  return line;
}

const script = document.currentScript;
if (script instanceof HTMLScriptElement) {
  const options = optionsOf(script);
  const begin = (): void => void new Widget(options);
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin, { once: true });
} else console.error("Parley's widget is a script of its own: <script src=\"https://voice.example/widget.js\"></script>, without type=module.");
