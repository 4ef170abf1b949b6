// Wires the page: elements to the session, and the session's model to the elements.

import "./style.css";

import { AUDIBLE, fetchModels, loadModel, loudspeakers, microphones, mood, onMicrophones, Session, speak, unloadModel, type TransportName, type VoiceModel } from "@parley/client";
import { Cuts } from "./view/cuts";
import { renderLatency } from "./view/latency";
import { PlotView } from "./view/plot";
import { notice, stateKey, trouble } from "./view/state";
import { TranscriptView } from "./view/transcript";
import { VoiceView } from "./view/voice";
import { modelsInWords } from "./models";
import { recall, Remembered, type Device } from "./remembered";
import { keep, kept } from "./reloaded";
import { describe, loadedSoFar, optionFor, optionsOf, voiceOf } from "./voices";
import { LANGUAGES, languageFor, speakLanguage, t, translatePage, wordsOf } from "./words";

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page lacks #${id}`);
  return found as T;
}

const ui = {
  link: element("link"),
  language: element<HTMLSelectElement>("language"),
  theme: element<HTMLSelectElement>("theme"),
  state: element("state"),
  transcript: element("transcript"),
  connect: element<HTMLButtonElement>("connect"),
  mute: element<HTMLButtonElement>("mute"),
  stop: element<HTMLButtonElement>("stop"),
  leave: element<HTMLButtonElement>("leave"),
  more: element<HTMLButtonElement>("more"),
  drawer: element("drawer"),
  close: element<HTMLButtonElement>("close"),
  wake: element<HTMLButtonElement>("wake"),
  talk: element<HTMLButtonElement>("talk"),
  meter: element<HTMLMeterElement>("meter"),
  voice: element<HTMLSelectElement>("voice"),
  voiceState: element("voice-state"),
  loading: element<HTMLProgressElement>("loading"),
  hear: element<HTMLButtonElement>("hear"),
  free: element<HTMLButtonElement>("free"),
  device: element<HTMLSelectElement>("device"),
  deviceHint: element("device-hint"),
  speaker: element<HTMLSelectElement>("speaker"),
  speakerField: element("speaker-field"),
  speakerHint: element("speaker-hint"),
  forget: element<HTMLButtonElement>("forget"),
  forgotten: element("forgotten"),
  transport: element<HTMLSelectElement>("transport"),
  transportField: element("transport-field"),
  push: element<HTMLInputElement>("push"),
  duck: element<HTMLInputElement>("duck"),
  key: element<HTMLInputElement>("key"),
  latency: element("latency"),
  models: element("models"),
  problem: element("problem"),
  problemText: element("problem-text"),
  dismiss: element<HTMLButtonElement>("dismiss"),
  form: element<HTMLFormElement>("form"),
  text: element<HTMLInputElement>("text"),
  send: element<HTMLButtonElement>("send"),
};

const stored = new Remembered(() => localStorage);

// --- theme -----------------------------------------------------------------

const darkness = matchMedia("(prefers-color-scheme: dark)");
function applyTheme(): void {
  const chosen = ui.theme.value;
  document.documentElement.dataset.theme = chosen === "system" ? (darkness.matches ? "dark" : "light") : chosen;
  window.dispatchEvent(new Event("parley-theme"));
}
ui.theme.value = stored.get("theme") || "system";
ui.theme.addEventListener("change", () => {
  stored.set("theme", ui.theme.value);
  applyTheme();
});
darkness.addEventListener("change", applyTheme);
applyTheme();

// --- language --------------------------------------------------------------

ui.language.append(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code)));
for (const option of ui.language.options) option.lang = option.value;
ui.language.value = stored.get("language");

/** In the language that was chosen, or the browser's; what is there already is written anew. */
async function applyLanguage(): Promise<void> {
  await speakLanguage(languageFor(ui.language.value, navigator.languages));
  translatePage();
}
ui.language.addEventListener("change", () => {
  stored.set("language", ui.language.value);
  void applyLanguage().then(() => {
    transcript.rewrite();
    setText(ui.models, modelsInWords(inUse));
    nameTransports();
    showVoices();
    render();
  });
});
await applyLanguage();

// --- the session -----------------------------------------------------------

const session = new Session({
  transport: "webrtc",
  transports: ["webrtc"],
  device: stored.device("device")?.id ?? "",
  loudspeaker: stored.device("speaker")?.id ?? "",
  duck: stored.get("duck") !== "off",
  resume: kept(() => sessionStorage, Date.now()),
  livekit: () => import("@parley/client/livekit"),
});
const { settings } = session;
window.addEventListener("pagehide", () => {
  keep(() => sessionStorage, session.model.link === "offline" ? "" : session.model.sessionId, Date.now());
});
let pushToTalk = stored.get("push") === "on";
session.on("change", scheduleRender);
session.on("output", (reading) => {
  if (reading.level >= AUDIBLE) voice.wake();
});
// For anyone who measures the page from outside.
session.on("moment", (detail) => window.dispatchEvent(new CustomEvent("parley", { detail })));
const transcript = new TranscriptView(ui.transcript, element("announcer"));
const voice = new VoiceView(element<HTMLCanvasElement>("picture"), () => ({
  you: session.muted ? null : (session.audio?.inputSpectrum ?? null),
  agent: session.audio?.outputSpectrum ?? null,
}));
const plot = new PlotView(element("plot"));
const cuts = new Cuts(AUDIBLE, scheduleRender);
session.on("input", (reading) => {
  if (!session.muted) cuts.input(reading);
});
session.on("output", (reading) => cuts.output(reading));
session.on("moment", ({ what, time }) => {
  if (what === "duck") cuts.ducked(time);
  if (what === "pause" || what === "clear") cuts.stopped(time);
  if (what === "resume" || what === "clear") cuts.decided(what === "resume", time);
});
window.addEventListener("parley-theme", () => voice.show(mood(session.model)));

let scheduled = false;
function scheduleRender(): void {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    render();
  });
}

function render(): void {
  const { model } = session;
  const online = model.link === "online";
  const live = model.link !== "offline";
  const words = t(stateKey(model));
  const now = mood(model);
  document.body.dataset.mood = now;
  document.body.dataset.live = live || model.entries.length > 0 ? "yes" : "no";
  voice.show(now);
  setText(ui.state, words);
  setText(ui.link, settings.resume && !live ? t("go_on") : notice(model));
  const action = t(live ? "interrupt" : "tap_to_talk");
  if (ui.connect.getAttribute("aria-label") !== action) ui.connect.setAttribute("aria-label", action);
  ui.connect.disabled = live && !(online && model.agent === "speaking");
  ui.leave.hidden = !live;
  ui.mute.disabled = !live || pushToTalk;
  ui.mute.setAttribute("aria-pressed", String(session.muted));
  ui.stop.disabled = !online || model.agent !== "speaking";
  ui.talk.hidden = !(pushToTalk && online);
  ui.text.disabled = ui.send.disabled = !online;
  ui.voice.disabled = !online || ui.voice.options.length === 0;
  ui.problem.hidden = model.error === "";
  setText(ui.problemText, trouble(model, session.stream?.getAudioTracks()[0]?.label ?? ""));
  // What is said is read in the language of the voice that says it.
  ui.transcript.lang = model.voice?.language ?? "";
  ui.wake.hidden = !(live && model.suspended);
  transcript.render(model.entries);
  renderLatency(ui.latency, model.turns);
  plot.show(model.turns, cuts.all);
}

/** Screen readers read a status again when it is written again. */
function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

ui.connect.addEventListener("click", () => {
  if (session.model.link === "offline") void start();
  else session.interrupt();
});
ui.leave.addEventListener("click", () => {
  void session.leave();
  ui.connect.focus();
});
ui.dismiss.addEventListener("click", () => session.clearProblem());
ui.wake.addEventListener("click", () => void session.wake());
document.addEventListener("pointerdown", () => void session.wake());

function openDrawer(open: boolean): void {
  ui.drawer.hidden = !open;
  ui.more.setAttribute("aria-expanded", String(open));
  (open ? ui.close : ui.more).focus();
}
ui.more.addEventListener("click", () => openDrawer(Boolean(ui.drawer.hidden)));
ui.close.addEventListener("click", () => openDrawer(false));

async function start(): Promise<void> {
  settings.key = ui.key.value;
  cuts.restart();
  session.setMuted(pushToTalk);
  await readOffers();
  await session.connect();
  if (session.wrongKey) askForKey();
  await listDevices();
  await refreshVoices();
}

function askForKey(): void {
  openDrawer(true);
  ui.key.focus();
}

let inUse: Readonly<Record<string, string>> = {};

function nameTransports(): void {
  for (const option of ui.transport.options) option.text = t(`transport_${option.value as TransportName}`);
}

async function readOffers(): Promise<void> {
  try {
    inUse = (await session.offers()).models;
    setText(ui.models, modelsInWords(inUse));
  } catch {
    // Connecting will say what is wrong.
    return;
  }
  const { transports } = settings;
  ui.transportField.hidden = transports.length < 2;
  if (ui.transport.options.length === 0) {
    ui.transport.replaceChildren(...transports.map((name) => new Option(t(`transport_${name}`), name)));
  }
  settings.transport = transports.find((name) => name === ui.transport.value) ?? transports[0] ?? "webrtc";
}

ui.transport.addEventListener("change", () => {
  if (session.model.link === "offline") return;
  void session.leave().then(start);
});

// --- microphone ------------------------------------------------------------

ui.mute.addEventListener("click", () => {
  session.setMuted(!session.muted);
  scheduleRender();
});
ui.device.addEventListener("change", () => {
  stored.setDevice("device", chosenIn(ui.device));
  ui.deviceHint.hidden = true;
  void session.changeDevice(ui.device.value);
});
ui.speaker.addEventListener("change", () => {
  stored.setDevice("speaker", chosenIn(ui.speaker));
  ui.speakerHint.hidden = true;
  void session.changeLoudspeaker(ui.speaker.value);
});
function chosenIn({ value, selectedOptions }: HTMLSelectElement): { id: string; label: string } | null {
  return value ? { id: value, label: selectedOptions[0]?.text ?? "" } : null;
}
async function listDevices(): Promise<void> {
  const [inputs, outputs] = await Promise.all([microphones(), loudspeakers()]);
  const device = offer(ui.device, ui.deviceHint, inputs, stored.device("device"));
  if (device !== null && device !== settings.device) await session.changeDevice(device);
  const speaker = offer(ui.speaker, ui.speakerHint, outputs, stored.device("speaker"));
  if (speaker !== null && speaker !== settings.loudspeaker) await session.changeLoudspeaker(speaker);
  ui.speakerField.hidden = ui.speaker.options.length < 2;
}

/** Fill a picker and choose the remembered one, else the usual one, which is said. Returns its id; null while devices have no names. */
function offer(pick: HTMLSelectElement, hint: HTMLElement, devices: readonly MediaDeviceInfo[], remembered: Device | null): string | null {
  const named = devices.filter(({ label, deviceId }) => label && deviceId !== "default");
  const usual = new Option(t("default"), "");
  usual.dataset.t = "default";
  pick.replaceChildren(usual, ...named.map(({ label, deviceId }) => new Option(label, deviceId)));
  const found = remembered && recall(named, remembered);
  pick.value = found?.deviceId ?? "";
  if (devices.length > 0 && devices.every(({ label }) => !label)) return null;
  hint.hidden = !remembered?.label || found !== null;
  if (remembered) setText(hint, t("device_missing", { label: remembered.label }));
  return pick.value;
}
onMicrophones(() => void listDevices());

/** On the meter's scale: what the picture shows of a microphone. */
const SEEN = 0.25;
let meterShown = 0;
session.on("input", (reading) => {
  // Ears judge loudness by ratio: -60 dBFS is empty, 0 dBFS is full. The bar falls slowly.
  const level = Math.max(0, 1 + Math.log10(Math.max(reading.level, 1e-3)) / 3);
  meterShown = Math.max(level, meterShown - 0.03);
  if (!ui.drawer.hidden) ui.meter.value = meterShown;
  if (level > SEEN) voice.wake();
});

ui.push.checked = pushToTalk;
ui.push.addEventListener("change", () => {
  pushToTalk = ui.push.checked;
  stored.set("push", pushToTalk ? "on" : "off");
  session.setMuted(pushToTalk);
  scheduleRender();
});
ui.duck.checked = settings.duck;
ui.duck.addEventListener("change", () => {
  settings.duck = ui.duck.checked;
  stored.set("duck", ui.duck.checked ? "on" : "off");
});

function hold(held: boolean): void {
  if (ui.talk.classList.contains("held") === held) return;
  ui.talk.classList.toggle("held", held);
  setText(ui.talk, t(held ? "release_to_send" : "hold_to_talk"));
  session.hold(held);
}
ui.talk.addEventListener("pointerdown", (event) => {
  ui.talk.setPointerCapture(event.pointerId);
  hold(true);
});
for (const name of ["pointerup", "pointercancel", "blur"]) ui.talk.addEventListener(name, () => hold(false));
ui.talk.addEventListener("keydown", (event) => {
  if ((event.key === " " || event.key === "Enter") && !event.repeat) {
    event.preventDefault();
    hold(true);
  }
});
ui.talk.addEventListener("keyup", (event) => {
  if (event.key === " " || event.key === "Enter") hold(false);
});

// --- words -----------------------------------------------------------------

ui.stop.addEventListener("click", () => session.interrupt());
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (!ui.drawer.hidden) openDrawer(false);
  else if (session.model.agent === "speaking") session.interrupt();
});
ui.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = ui.text.value.trim();
  if (!text) return;
  session.typed(text);
  ui.text.value = "";
});

// --- voices ----------------------------------------------------------------

let models: VoiceModel[] = [];
let refreshTimer = 0;
/** This page has been in a conversation. */
let begun = false;
/** Often while something moves, seldom otherwise. */
const REFRESH_BUSY = 700;
const REFRESH_IDLE = 10_000;
const LOADING_EVERY = 250;

async function refreshVoices(): Promise<void> {
  window.clearTimeout(refreshTimer);
  if (session.model.link === "offline") return;
  try {
    models = await fetchModels(settings);
    showVoices();
  } catch (error) {
    setText(ui.voiceState, error instanceof Error ? error.message : "");
  }
  const busy = models.some((model) => model.state === "loading" || model.state === "evicting");
  refreshTimer = window.setTimeout(() => void refreshVoices(), busy ? REFRESH_BUSY : REFRESH_IDLE);
}

function showVoices(): void {
  const options = optionsOf(models);
  const signature = options.map((option) => option.label).join();
  const current = session.model.voice;
  if (ui.voice.dataset.signature !== signature) {
    const chosen = ui.voice.value;
    ui.voice.dataset.signature = signature;
    ui.voice.replaceChildren(...options.map((option) => new Option(option.label, option.value)));
    const wanted = options.find((option) => option.value === chosen) ?? optionFor(options, current) ?? options.find((option) => option.model.is_default);
    if (wanted) ui.voice.value = wanted.value;
  }
  ui.voice.disabled = session.model.link !== "online" || options.length === 0;
  const model = models.find((known) => known.model_id === voiceOf(ui.voice.value).model);
  setText(ui.voiceState, model ? describe(model) : "");
  ui.hear.disabled = ui.voice.disabled || !model;
  ui.free.disabled = ui.voice.disabled || model?.state !== "resident" || model.model_id === current?.model;
}

session.on("message", (message) => {
  if (message.type === "started" && !(message.resumed && begun)) void refreshVoices().then(recallVoice);
  begun ||= message.type === "started";
  // A voice was taken, or refused: the one in the model speaks.
  if (message.type !== "voice" && !(message.type === "error" && message.code === "not_found")) return;
  const speaks = optionFor(optionsOf(models), session.model.voice);
  if (speaks) ui.voice.value = speaks.value;
  showVoices();
});

ui.voice.addEventListener("change", () => {
  stored.set("voice", ui.voice.value);
  void chooseVoice(ui.voice.value);
});

/** How far it has come, from how long the last load took; no bar where nobody knows. Returns what ends it. */
function showLoading(model: VoiceModel): () => void {
  const began = performance.now();
  const show = (): void => {
    const part = loadedSoFar(model, (performance.now() - began) / 1000);
    ui.loading.hidden = part === null;
    ui.loading.value = part ?? 0;
  };
  show();
  const ticker = window.setInterval(show, LOADING_EVERY);
  return () => {
    window.clearInterval(ticker);
    ui.loading.hidden = true;
  };
}

/** Once the conversation is there: the voice of the last time, where it is offered still. */
async function recallVoice(): Promise<void> {
  const wanted = stored.get("voice");
  const speaks = optionFor(optionsOf(models), session.model.voice)?.value;
  if (!wanted || wanted === speaks || session.model.link !== "online") return;
  const found = optionsOf(models).find((option) => option.value === wanted);
  if (found) {
    ui.voice.value = wanted;
    await chooseVoice(wanted);
  } else if (models.length > 0) setText(ui.voiceState, t("voice_missing", { voice: voiceOf(wanted).model }));
}

ui.forget.addEventListener("click", () => {
  stored.forget();
  for (const pick of [ui.language, ui.device, ui.speaker]) pick.value = "";
  ui.theme.value = "system";
  ui.push.checked = false;
  ui.duck.checked = true;
  for (const changed of [ui.language, ui.device, ui.speaker, ui.theme, ui.push, ui.duck]) changed.dispatchEvent(new Event("change"));
  stored.forget();
  setText(ui.forgotten, t("forgotten"));
});
async function chooseVoice(value: string): Promise<void> {
  const voice = voiceOf(value);
  const model = models.find((known) => known.model_id === voice.model);
  if (model && model.state !== "resident") {
    setText(ui.voiceState, describe({ ...model, state: "loading" }));
    const loaded = showLoading(model);
    refreshTimer = window.setTimeout(() => void refreshVoices(), REFRESH_BUSY);
    try {
      await loadModel(settings, voice.model);
    } catch (error) {
      setText(ui.voiceState, error instanceof Error ? error.message : t("voice_not_loaded"));
      return;
    } finally {
      loaded();
    }
  }
  session.setVoice(voice);
  await refreshVoices();
}

/** A sentence of the voice that stands in the picker, in its own language where the page knows that; it is loaded for it. */
ui.hear.addEventListener("click", () => void hearSample(voiceOf(ui.voice.value)));
async function hearSample(voice: { model: string; speaker: string }): Promise<void> {
  const { audio } = session;
  if (!audio) return;
  ui.hear.disabled = true;
  const languages = models.find((model) => model.model_id === voice.model)?.languages ?? [];
  try {
    const { sample } = await wordsOf(languageFor("", languages));
    const player = new AudioBufferSourceNode(audio.context, { buffer: await audio.context.decodeAudioData(await speak(settings, voice, sample)) });
    player.connect(audio.context.destination);
    player.start();
  } catch (error) {
    setText(ui.voiceState, error instanceof Error ? error.message : t("no_sample"));
  }
  ui.hear.disabled = false;
  refreshTimer = window.setTimeout(() => void refreshVoices(), REFRESH_BUSY);
}

ui.free.addEventListener("click", () => void freeVoice(voiceOf(ui.voice.value).model));
async function freeVoice(model: string): Promise<void> {
  ui.free.disabled = true;
  setText(ui.voiceState, t("voice_evicting", { voice: model }));
  try {
    await unloadModel(settings, model);
  } catch (error) {
    setText(ui.voiceState, error instanceof Error ? error.message : "");
    return;
  }
  await refreshVoices();
}

window.addEventListener("pagehide", () => void session.leave());
render();
void readOffers();

declare global {
  interface Window {
    /** For measurements and tests: the running session with its audio graph. */
    parley: Session;
  }
}
window.parley = session;
