// Turns and cut-ins over the conversation: two small plots, and the same as a table for whoever does not see them.
// Nothing is drawn while nothing changes, and nothing moves.

import type { Turn } from "@parley/client";

import { t } from "../words";
import type { Cut } from "./cuts";
import { stepsOf } from "./latency";

/** One point of a plot: its values from the lowest to the highest, in milliseconds. */
export interface Point {
  readonly name: string;
  readonly values: readonly number[];
  /** It came no further than to what an open dot stands for. */
  readonly open?: boolean;
}

const WIDTH = 340;
const HEIGHT = 96;
const LEFT = 38;
const EDGE = 7;
/** Room for so many; fewer stand as far apart. */
const PLACES = 20;
const NICE = [1, 2, 2.5, 5, 10];
const SVG = "http://www.w3.org/2000/svg";

/** The end of an axis that holds the value: 1, 2, 2.5 or 5 times a power of ten. */
export function axisEnd(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 10)));
  return power * (NICE.find((step) => step * power >= value) ?? 10);
}

export function middleOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? 0) + (sorted[Math.floor(half)] ?? 0)) / 2;
}

export function turnPoints(turns: readonly Turn[]): Point[] {
  const total = (turn: Turn): number => stepsOf(turn).reduce((sum, step) => sum + step.ms, 0);
  return turns.map((turn) => ({ name: String(turn.turn), values: [total(turn)] }));
}

export function cutPoints(cuts: readonly Cut[]): Point[] {
  const values = ({ softer, silent }: Cut): number[] => [softer, silent].filter((value) => value !== null);
  const open = ({ softer, silent }: Cut): boolean => softer !== null && silent === null;
  return cuts.map((cut) => ({ name: String(cut.number), values: values(cut), ...(open(cut) && { open: true }) })).filter((point) => point.values.length > 0);
}

export class PlotView {
  private readonly box: HTMLElement;
  private drawn = "";

  constructor(box: HTMLElement) {
    this.box = box;
  }

  show(turns: readonly Turn[], cuts: readonly Cut[]): void {
    const told = JSON.stringify([turns, cuts, t("over_time")]);
    if (told === this.drawn) return;
    this.drawn = told;
    const open = this.box.querySelector("details")?.open ?? false;
    const parts = [...turnsView(turns), ...cutsView(cuts)];
    this.box.hidden = parts.length === 0;
    if (parts.length > 0) this.box.replaceChildren(heading(), ...parts, asTable(turns, cuts, open));
  }
}

function heading(): HTMLElement {
  return tag("h2", { textContent: t("over_time") });
}

function turnsView(turns: readonly Turn[]): HTMLElement[] {
  const points = turnPoints(turns);
  if (points.length === 0) return [];
  const values = points.map((point) => point.values[0] as number);
  return [figure(t("plot_turns"), middleInWords("plot_middle", values), points)];
}

function cutsView(cuts: readonly Cut[]): HTMLElement[] {
  const points = cutPoints(cuts);
  if (points.length === 0) return [];
  const softer = cuts.flatMap((cut) => cut.softer ?? []);
  const silent = cuts.flatMap((cut) => cut.silent ?? []);
  const words = [middleInWords("plot_softer", softer), middleInWords("plot_silent", silent)].filter(Boolean).join(" · ");
  return [figure(t("plot_cuts"), words, points)];
}

function middleInWords(key: "plot_middle" | "plot_softer" | "plot_silent", values: readonly number[]): string {
  return values.length > 0 ? t(key, { ms: Math.round(middleOf(values)) }) : "";
}

function figure(title: string, words: string, points: readonly Point[]): HTMLElement {
  const caption = tag("figcaption");
  caption.append(tag("b", { textContent: title }), tag("span", { textContent: words }));
  const box = tag("figure", { className: "plot" });
  box.append(caption, plot(points));
  return box;
}

function plot(points: readonly Point[]): SVGSVGElement {
  const end = axisEnd(Math.max(...points.flatMap((point) => point.values)));
  const y = (value: number): number => HEIGHT - EDGE - (value / end) * (HEIGHT - 2 * EDGE);
  const step = (WIDTH - LEFT - 2 * EDGE) / (PLACES - 1);
  const box = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  for (const value of [0, end / 2, end]) {
    const label = svg("text", { x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" });
    label.textContent = String(value);
    box.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }), label);
  }
  points.forEach((point, place) => box.append(...marks(point, LEFT + EDGE + place * step, y)));
  return box;
}

/** A dot; two values are an open and a full one with a line between, so that they differ by more than colour. */
function marks(point: Point, x: number, y: (value: number) => number): SVGElement[] {
  const [first = 0] = point.values;
  const last = point.values.at(-1) ?? first;
  const full = svg("circle", { class: point.open ? "open" : "full", cx: x, cy: y(last), r: 3.6 });
  if (point.values.length === 1) return [full];
  const line = svg("line", { class: "span", x1: x, x2: x, y1: y(first), y2: y(last) });
  return [line, svg("circle", { class: "open", cx: x, cy: y(first), r: 3.6 }), full];
}

function asTable(turns: readonly Turn[], cuts: readonly Cut[], open: boolean): HTMLElement {
  const box = tag("details", { open });
  box.append(tag("summary", { textContent: t("as_table") }));
  const turned = turnPoints(turns);
  if (turned.length > 0) box.append(table(t("plot_turns"), [t("turn"), t("first_sound")], turned.map(({ name, values }) => [name, ms(values[0] ?? null)])));
  const outcome = (cut: Cut): string => (cut.wentOn === null ? "–" : t(cut.wentOn ? "cut_went_on" : "cut_took"));
  const rows = cuts.map((cut) => [String(cut.number), ms(cut.softer), ms(cut.silent), outcome(cut)]);
  if (rows.length > 0) box.append(table(t("plot_cuts"), [t("cut"), t("cut_softer"), t("cut_silent"), t("cut_outcome")], rows));
  return box;
}

function ms(value: number | null): string {
  return value === null ? "–" : String(Math.round(value));
}

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const box = tag("table");
  box.createCaption().textContent = title;
  const head = box.createTHead().insertRow();
  head.append(...columns.map((textContent) => tag("th", { scope: "col", textContent })));
  const body = box.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.insertCell().textContent = text;
  }
  return box;
}

function tag<Name extends keyof HTMLElementTagNameMap>(name: Name, properties: Partial<HTMLElementTagNameMap[Name]> = {}): HTMLElementTagNameMap[Name] {
  return Object.assign(document.createElement(name), properties);
}

function svg<Name extends keyof SVGElementTagNameMap>(name: Name, attributes: Readonly<Record<string, string | number>>): SVGElementTagNameMap[Name] {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
