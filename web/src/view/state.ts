// How the conversation stands, in the page's language.

import { mood, WELCOME_BACK, type Model } from "@parley/client";

import { isKey, t, type Key } from "../words";

/** What a person who cannot see the picture needs to know. */
export function stateKey(model: Model): Key {
  const now = mood(model);
  if (now === "offline") return model.agent === "terminated" && model.link === "online" ? "ended" : "tap_to_talk";
  if (now === "waiting") return model.link === "connecting" ? "connecting" : "reconnecting";
  return now;
}

export function notice(model: Model): string {
  if (model.link === "reconnecting") return t("trying_again");
  return model.notice === WELCOME_BACK ? t("welcome_back") : model.notice;
}

/** What is wrong and what to do; in the server's own words where it is the server that says so. */
export function trouble(model: Model, microphone: string): string {
  const key = `trouble_${model.trouble}`;
  return model.error && isKey(key) ? t(key, { label: microphone || t("default") }) : model.error;
}
