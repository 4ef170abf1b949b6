// How the conversation stands, in the page's language.

import { mood, WELCOME_BACK, type Model } from "@parley/client";

import { inEnglish, isKey, t, type Key } from "../words";

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

/** What is wrong and what to do; the server's own words stand beside ours, in the one language that it speaks. */
export function trouble(model: Model, microphone: string): string {
  const key = `trouble_${model.trouble}`;
  if (!model.error || !isKey(key)) return model.error;
  const ours = t(key, { label: microphone || t("default") });
  if (model.trouble === "unauthorized") return `${ours} (${model.error})`;
  if (model.trouble !== "server_full" && model.trouble !== "lost") return ours;
  return inEnglish() ? model.error : `${ours} (${model.error})`;
}
