// The voices that the server offers, and where each model is in its life, in words.

import type { VoiceModel } from "@parley/client";

const WORDS: Record<VoiceModel["state"], string> = {
  available: "on disk; it is loaded when you choose it",
  loading: "loading…",
  resident: "ready",
  evicting: "leaving memory…",
  failed: "could not be loaded",
};

/** A model's state in words. */
export function describe(model: VoiceModel): string {
  const reason = model.state === "failed" && model.error ? `: ${model.error}` : "";
  const factor = model.real_time_factor ?? 0;
  const slow = factor > 1 ? `; slower than real time here (${factor.toFixed(1)} s for a second), so it begins late` : "";
  return `${model.model_id}: ${WORDS[model.state]}${slow}${reason}`;
}

/** One option per speaker; the value holds both names. */
export interface VoiceOption {
  readonly value: string;
  readonly label: string;
  readonly model: VoiceModel;
}

const SEPARATOR = "\u0001";

export function optionsOf(models: readonly VoiceModel[]): VoiceOption[] {
  return models.flatMap((model) => {
    const suffix = model.state === "resident" ? "" : ` (${model.state})`;
    const whole = { value: model.model_id, label: `${model.model_id}${suffix}`, model };
    const speakers = model.speakers.slice(0, 40).map((speaker) => ({
      value: `${model.model_id}${SEPARATOR}${speaker}`,
      label: `${model.model_id} · ${speaker}${suffix}`,
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
