// The voices that the server offers, and where each model is in its life, in words.

import type { VoiceModel } from "@parley/client";

import { t } from "./words";

/** A model's state in words, with its licence and its size. */
export function describe(model: VoiceModel): string {
  const reason = model.state === "failed" && model.error ? `: ${model.error}` : "";
  const factor = model.real_time_factor ?? 0;
  return [
    `${t(`voice_${model.state}`, { voice: model.model_id })}${reason}`,
    ...(factor > 1 ? [t("voice_slow", { factor: factor.toFixed(1) })] : []),
    ...(model.memory_bytes ? [t("voice_size", { size: Math.ceil(model.memory_bytes / 1e6) })] : []),
    ...(model.licence ? [t("voice_licence", { licence: model.licence })] : []),
  ].join("; ");
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
