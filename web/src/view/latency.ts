// The latency waterfall: each turn as one bar, every step with its milliseconds in words.

import type { Turn } from "@parley/client";

import { t, type Key } from "../words";

const STEPS: Record<string, readonly [label: Key, colour: string]> = {
  vad: ["step_vad", "#0f766e"],
  endpoint: ["step_endpoint", "#0891b2"],
  asr: ["step_asr", "#7c3aed"],
  llm: ["step_llm", "#a16207"],
  tts: ["step_tts", "#4338ca"],
  sent: ["step_sent", "#be185d"],
  heard: ["step_heard", "#64748b"],
  page: ["step_page", "#15803d"],
};

export interface Step {
  readonly key: string;
  readonly label: string;
  readonly colour: string;
  readonly ms: number;
}

/** Stages are counted from the last speech sample; a step is what one adds to the one before. */
export function stepsOf(turn: Turn): Step[] {
  const reached = [...turn.stages].filter(([key]) => key in STEPS).sort((a, b) => a[1] - b[1]);
  if (turn.audible !== null) reached.push(["page", Math.max(turn.audible, reached.at(-1)?.[1] ?? 0)]);
  const steps: Step[] = [];
  let before = 0;
  for (const [key, at] of reached) {
    const known = STEPS[key];
    steps.push({ key, label: known ? t(known[0]) : key, colour: known?.[1] ?? "#64748b", ms: Math.max(0, at - before) });
    before = Math.max(before, at);
  }
  return steps;
}

const SHOWN = 3;

export function renderLatency(box: HTMLElement, turns: readonly Turn[]): void {
  if (turns.length === 0) return;
  box.replaceChildren(...turns.slice(-SHOWN).reverse().map(turnView));
}

function turnView(turn: Turn): HTMLElement {
  const steps = stepsOf(turn);
  const total = steps.reduce((sum, step) => sum + step.ms, 0);
  const view = document.createElement("div");
  view.className = "turn";
  const title = document.createElement("p");
  title.className = "total";
  title.textContent = t("turn_total", { turn: turn.turn, ms: Math.round(total) });
  const bar = document.createElement("div");
  bar.className = "bar-of-time";
  bar.setAttribute("aria-hidden", "true");
  const legend = document.createElement("ul");
  legend.className = "legend";
  for (const step of steps) {
    const part = document.createElement("span");
    part.style.flex = `${Math.max(step.ms, total * 0.004)}`;
    part.style.background = step.colour;
    bar.append(part);
    const item = document.createElement("li");
    const dot = document.createElement("i");
    dot.style.background = step.colour;
    item.append(dot, t("step", { step: step.label, ms: Math.round(step.ms) }));
    legend.append(item);
  }
  view.append(title, bar, legend);
  return view;
}
