// The voices that the server offers, and where each model is in its life, in words.

import type { VoiceModel } from "@parley/client";

import { t } from "./words";

/** A model's state in words, with its licence and its size. */
export function describe(model: VoiceModel): string {
  const reason = model.state === "failed" && model.error ? `: ${model.error}` : "";
  const factor = model.real_time_factor ?? 0;
  const loads = model.state === "available" || model.state === "loading" ? (model.load_seconds ?? 0) : 0;
  return [
    `${t(`voice_${model.state}`, { voice: model.model_id })}${reason}`,
    ...(loads > 0 ? [t("voice_loads", { seconds: Math.max(1, Math.round(loads)) })] : []),
    ...(factor > 1 ? [t("voice_slow", { factor: factor.toFixed(1) })] : []),
    ...(model.memory_bytes ? [t("voice_size", { size: Math.ceil(model.memory_bytes / 1e6) })] : []),
    ...(model.licence ? [t("voice_licence", { licence: model.licence })] : []),
  ].join("; ");
}

/** How far a load has come after so many seconds, from how long the last one took: 0 to just below 1, or null where nobody knows. */
export function loadedSoFar(model: VoiceModel, elapsed: number): number | null {
  const seconds = model.load_seconds ?? 0;
  return seconds > 0 ? Math.min(elapsed / seconds, 0.97) : null;
}

/** One option per speaker; the value holds both names. */
export interface VoiceOption {
  readonly value: string;
  readonly label: string;
  readonly model: VoiceModel;
}

/** Languages that stand beside a name; some models speak a hundred. */
const MOST_LANGUAGES = 3;
const SEPARATOR = "\u0001";

export function optionsOf(models: readonly VoiceModel[]): VoiceOption[] {
  return models.flatMap((model) => {
    const state = model.state === "resident" ? "" : ` (${t(`state_${model.state}`)})`;
    const suffix = `${model.languages.length > 0 ? ` · ${model.languages.slice(0, MOST_LANGUAGES).join(", ")}` : ""}${state}`;
    const whole = { value: model.model_id, label: `${model.model_id}${suffix}`, model };
    const speakers = model.speakers.slice(0, 40).map((speaker) => ({
      value: `${model.model_id}${SEPARATOR}${speaker}`,
      label: `${model.model_id} · ${speaker}${state}`,
      model,
    }));
    return [whole, ...speakers];
  });
}

export function voiceOf(value: string): { model: string; speaker: string } {
  const [model = "", speaker = ""] = value.split(SEPARATOR);
  return { model, speaker };
}

/** The option of the voice that speaks; of its model where it has no such speaker. */
export function optionFor(options: readonly VoiceOption[], voice: { model: string; speaker: string } | null): VoiceOption | undefined {
  const ofModel = options.filter((option) => option.model.model_id === voice?.model);
  return ofModel.find((option) => voiceOf(option.value).speaker === voice?.speaker) ?? ofModel[0];
}
