// One picture of both voices: the ring around is you, the disc inside is the agent.

import type { mood } from "../model";

type Mood = ReturnType<typeof mood>;

const POINTS = 64;

export interface Voices {
  readonly you: AnalyserNode | null;
  readonly agent: AnalyserNode | null;
}

export class Picture {
  private readonly canvas: HTMLCanvasElement;
  private readonly ink: CanvasRenderingContext2D;
  private readonly bins = new Uint8Array(256);
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");
  private request = 0;
  private lastDrawn = "";

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    const ink = canvas.getContext("2d");
    if (!ink) throw new Error("this browser draws no canvas");
    this.ink = ink;
  }

  run(mood: () => Mood, voices: () => Voices): void {
    const frame = (time: number): void => {
      this.request = requestAnimationFrame(frame);
      const state = mood();
      const sources = voices();
      const quiet = this.still.matches || (!sources.you && !sources.agent);
      const drawn = `${state}${document.documentElement.dataset.theme}`;
      if (quiet && this.lastDrawn === drawn) return;
      this.lastDrawn = quiet ? drawn : "";
      this.draw(state, this.still.matches ? { you: null, agent: null } : sources, quiet ? 0 : time / 1000);
    };
    this.request = requestAnimationFrame(frame);
  }

  stop(): void {
    cancelAnimationFrame(this.request);
  }

  private draw(mood: Mood, voices: Voices, seconds: number): void {
    const { ink, canvas } = this;
    const size = canvas.width;
    const style = getComputedStyle(document.body);
    const colour = style.getPropertyValue("--mood").trim();
    const line = style.getPropertyValue("--line").trim();
    ink.clearRect(0, 0, size, size);
    ink.save();
    ink.translate(size / 2, size / 2);
    this.ring(this.shape(voices.you, size * 0.385, size * 0.1), line, mood === "offline" ? 2 : 5);
    const breath = mood === "thinking" ? Math.sin(seconds * 5) * size * 0.012 : 0;
    const shape = this.shape(voices.agent, size * 0.315 + breath, size * 0.06);
    this.path(shape);
    ink.globalAlpha = mood === "offline" ? 0.1 : 0.2;
    ink.fillStyle = colour;
    ink.fill();
    ink.globalAlpha = 1;
    ink.setLineDash(mood === "thinking" || mood === "waiting" ? [18, 14] : []);
    ink.lineDashOffset = -seconds * 60;
    ink.lineWidth = mood === "speaking" || mood === "interrupted" ? 9 : 6;
    ink.strokeStyle = colour;
    ink.stroke();
    ink.setLineDash([]);
    if (mood === "interrupted") this.cut(size * 0.315, colour);
    ink.restore();
  }

  /** Radii of a closed curve; the spectrum is mirrored so that it joins. */
  private shape(source: AnalyserNode | null, radius: number, swing: number): number[] {
    if (source) source.getByteFrequencyData(this.bins);
    const radii: number[] = [];
    for (let point = 0; point < POINTS; point += 1) {
      const bin = 2 + Math.min(point, POINTS - point);
      radii.push(radius + (source ? ((this.bins[bin] ?? 0) / 255) ** 1.6 * swing : 0));
    }
    return radii;
  }

  private ring(radii: number[], colour: string, width: number): void {
    this.path(radii);
    this.ink.lineWidth = width;
    this.ink.strokeStyle = colour;
    this.ink.stroke();
  }

  private path(radii: number[]): void {
    const { ink } = this;
    const at = (index: number): [number, number] => {
      const radius = radii[index % POINTS] ?? 0;
      const angle = (index / POINTS) * 2 * Math.PI + Math.PI / 2;
      return [Math.cos(angle) * radius, Math.sin(angle) * radius];
    };
    ink.beginPath();
    let [x, y] = at(0);
    const [nextX, nextY] = at(1);
    ink.moveTo((x + nextX) / 2, (y + nextY) / 2);
    for (let index = 1; index <= POINTS; index += 1) {
      [x, y] = at(index);
      const [followingX, followingY] = at(index + 1);
      ink.quadraticCurveTo(x, y, (x + followingX) / 2, (y + followingY) / 2);
    }
    ink.closePath();
  }

  /** A gap in the ring: interrupted is told by form, not by colour alone. */
  private cut(radius: number, colour: string): void {
    const { ink } = this;
    ink.strokeStyle = colour;
    ink.lineWidth = 9;
    ink.beginPath();
    ink.moveTo(-radius * 1.15, radius * 1.15);
    ink.lineTo(-radius * 0.72, radius * 0.72);
    ink.moveTo(radius * 0.72, -radius * 0.72);
    ink.lineTo(radius * 1.15, -radius * 1.15);
    ink.stroke();
  }
}
