// Both voices as one shape: the disc in the middle is the agent, the rays around it are you.
// Nothing is drawn while nothing changes.

import type { Mood } from "@parley/client";

export interface Voices {
  readonly you: AnalyserNode | null;
  readonly agent: AnalyserNode | null;
}

/** Bins of 94 Hz that a voice is in. */
const LOWEST = 1;
const BINS = 40;
const RAYS = 96;
const POINTS = 72;
const LOBES = [2, 3, 4, 5, 7] as const;
/** Below this share of full scale nothing is seen of a voice. */
const STILL = 0.012;
/** Share of the way that a radius goes towards its goal within a sixtieth of a second. */
const EASE = 0.22;
/** No finer than two pixels to a point: the disc has no fine detail. */
const FINEST = 2;

function circle(points: number, of: (angle: number) => number, from = 0): Float32Array {
  return Float32Array.from({ length: points }, (_, point) => of((point / points) * 2 * Math.PI + from));
}
const COS = circle(POINTS, Math.cos);
const SIN = circle(POINTS, Math.sin);
const RAY_COS = circle(RAYS, Math.cos, Math.PI / 2);
const RAY_SIN = circle(RAYS, Math.sin, Math.PI / 2);

interface Look {
  readonly colour: string;
  readonly you: string;
  /** Of half the canvas. */
  readonly radius: number;
  readonly fill: number;
}

const RADIUS: Record<Mood, number> = {
  offline: 0.5,
  waiting: 0.46,
  listening: 0.44,
  thinking: 0.4,
  speaking: 0.5,
  yielding: 0.42,
  interrupted: 0.42,
};
const FILL: Record<Mood, number> = {
  offline: 1,
  waiting: 0.25,
  listening: 0.16,
  thinking: 0.16,
  speaking: 0.9,
  yielding: 0.4,
  interrupted: 0.12,
};

export class VoiceView {
  private readonly canvas: HTMLCanvasElement;
  private readonly ink: CanvasRenderingContext2D;
  private readonly bins = new Uint8Array(256);
  private readonly bands = new Float32Array(LOBES.length);
  private readonly swings = new Float32Array(POINTS);
  private readonly rays = new Float32Array(BINS);
  private readonly reduced = matchMedia("(prefers-reduced-motion: reduce)");
  private readonly voices: () => Voices;
  private request = 0;
  private before = 0;
  private mood: Mood = "offline";
  private look: Look = { colour: "#888", you: "#888", radius: 0.5, fill: 1 };
  private radius = 0.5;
  private fill = 1;
  private turned = 0;
  private loudness = 0;

  constructor(canvas: HTMLCanvasElement, voices: () => Voices) {
    this.canvas = canvas;
    this.voices = voices;
    const ink = canvas.getContext("2d");
    if (!ink) throw new Error("this browser draws no canvas");
    this.ink = ink;
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.reduced.addEventListener("change", () => this.wake());
  }

  /** Another state, or other colours. */
  show(mood: Mood): void {
    const style = getComputedStyle(document.body);
    const colour = style.getPropertyValue("--mood").trim();
    const you = style.getPropertyValue("--you").trim();
    if (mood === this.mood && colour === this.look.colour && you === this.look.you) return;
    this.mood = mood;
    this.look = { colour, you, radius: RADIUS[mood], fill: FILL[mood] };
    this.wake();
  }

  /** Something is heard, or has changed: draw until it is still again. */
  wake(): void {
    if (this.request !== 0) return;
    this.before = 0;
    this.request = requestAnimationFrame((time) => this.frame(time));
  }

  private fit(): void {
    const side = Math.round(this.canvas.clientWidth * Math.min(FINEST, window.devicePixelRatio || 1));
    if (side === 0 || side === this.canvas.width) return;
    this.canvas.width = this.canvas.height = side;
    this.draw();
  }

  private frame(time: number): void {
    const passed = this.before === 0 ? 1 / 60 : Math.min(0.1, (time - this.before) / 1000);
    this.before = time;
    const moving = this.step(passed);
    this.draw();
    this.request = moving ? requestAnimationFrame((next) => this.frame(next)) : 0;
  }

  /** Go on by so many seconds; true while there is more to see. */
  private step(passed: number): boolean {
    const { you, agent } = this.voices();
    const still = this.reduced.matches;
    const share = still ? 1 : 1 - (1 - EASE) ** (passed * 60);
    this.radius += (this.look.radius - this.radius) * share;
    this.fill += (this.look.fill - this.fill) * share;
    const heard = this.listen(still ? null : agent, still ? null : you);
    if (!still) this.turned += passed * (this.mood === "thinking" || this.mood === "waiting" ? 2.4 : this.loudness * 2);
    const settling = Math.abs(this.look.radius - this.radius) > 0.002 || Math.abs(this.look.fill - this.fill) > 0.01;
    return heard || settling || (!still && (this.mood === "thinking" || this.mood === "waiting"));
  }

  /** Read both spectra; true while one of them is to be seen. */
  private listen(agent: AnalyserNode | null, you: AnalyserNode | null): boolean {
    let loudest = 0;
    this.loudness = 0;
    if (agent) agent.getByteFrequencyData(this.bins);
    for (let lobe = 0; lobe < LOBES.length; lobe += 1) {
      let sum = 0;
      for (let bin = 0; bin < 6; bin += 1) sum += this.bins[LOWEST + lobe * 6 + bin] ?? 0;
      const level = agent ? (sum / (6 * 255)) ** 1.5 : 0;
      this.bands[lobe] = level;
      this.loudness += level / LOBES.length;
      loudest = Math.max(loudest, level);
    }
    if (you) you.getByteFrequencyData(this.bins);
    for (let bin = 0; bin < BINS; bin += 1) {
      const level = you ? ((this.bins[LOWEST + bin] ?? 0) / 255) ** 2 : 0;
      this.rays[bin] = level;
      loudest = Math.max(loudest, level);
    }
    return loudest > STILL;
  }

  private draw(): void {
    const { ink, canvas } = this;
    const half = canvas.width / 2;
    ink.clearRect(0, 0, canvas.width, canvas.height);
    ink.save();
    ink.translate(half, half);
    this.drawYou(half);
    this.drawAgent(half * this.radius, half);
    ink.restore();
  }

  private drawAgent(radius: number, half: number): void {
    const { ink, look } = this;
    ink.fillStyle = ink.strokeStyle = look.colour;
    this.swing();
    for (const [grown, alpha, turned] of [
      [1.3, 0.1, 23],
      [1.14, 0.2, 11],
    ] as const) {
      this.blob(radius * (1 + (grown - 1) * (0.3 + this.loudness * 2.4)), half * 0.2, turned);
      ink.globalAlpha = alpha * this.fill;
      ink.fill();
    }
    this.blob(radius, half * 0.14, 0);
    ink.globalAlpha = this.fill;
    ink.fill();
    ink.globalAlpha = 1;
    ink.lineWidth = half * 0.016;
    ink.lineCap = "round";
    this.outline(radius, half);
  }

  /** States differ by form as well: a whole line, a broken one, a turning one, one with a gap, two bars. */
  private outline(radius: number, half: number): void {
    const { ink } = this;
    switch (this.mood) {
      case "offline":
      case "speaking":
        return;
      case "thinking":
      case "waiting":
        for (let arc = 0; arc < 3; arc += 1) {
          const from = this.turned + (arc * 2 * Math.PI) / 3;
          ink.beginPath();
          ink.arc(0, 0, radius, from, from + 1.1);
          ink.stroke();
        }
        return;
      case "yielding":
        ink.stroke();
        ink.fillRect(-half * 0.09, -half * 0.11, half * 0.05, half * 0.22);
        ink.fillRect(half * 0.04, -half * 0.11, half * 0.05, half * 0.22);
        return;
      case "interrupted":
        ink.beginPath();
        ink.arc(0, 0, radius, -0.5, Math.PI - 1);
        ink.stroke();
        ink.beginPath();
        ink.arc(0, 0, radius, Math.PI - 0.5, 2 * Math.PI - 1);
        ink.stroke();
        return;
      default:
        ink.stroke();
    }
  }

  /** A closed curve with a lobe for each band of the agent's voice, turned by so many points. */
  private blob(radius: number, swing: number, turned: number): void {
    const { ink } = this;
    ink.beginPath();
    for (let point = 0; point < POINTS; point += 1) {
      const at = radius + (this.swings[(point + turned) % POINTS] as number) * swing;
      ink.lineTo((COS[point] as number) * at, (SIN[point] as number) * at);
    }
    ink.closePath();
  }

  private swing(): void {
    this.swings.fill(0);
    for (let lobe = 0; lobe < LOBES.length; lobe += 1) {
      const level = (this.bands[lobe] as number) * 0.4;
      if (level === 0) continue;
      const turn = (lobe % 2 ? -1 : 1) * this.turned * (0.6 + lobe * 0.15);
      const step = ((LOBES[lobe] as number) * 2 * Math.PI) / POINTS;
      for (let point = 0; point < POINTS; point += 1) this.swings[point] = (this.swings[point] as number) + Math.sin(point * step + turn) * level;
    }
  }

  /** Rays around the disc, as long as the microphone is loud: low sounds below, high ones above, both sides alike. */
  private drawYou(half: number): void {
    const { ink } = this;
    if (this.mood === "offline" || this.mood === "waiting") return;
    ink.strokeStyle = this.look.you;
    ink.lineWidth = half * 0.014;
    ink.lineCap = "round";
    ink.globalAlpha = 0.85;
    ink.beginPath();
    for (let ray = 0; ray < RAYS; ray += 1) {
      const mirrored = ray <= RAYS / 2 ? ray : RAYS - ray;
      const level = this.rays[Math.round((mirrored / (RAYS / 2)) * (BINS - 1))] as number;
      const across = RAY_COS[ray] as number;
      const up = RAY_SIN[ray] as number;
      const from = half * 0.8;
      const to = from + half * (0.004 + level * 0.17);
      ink.moveTo(across * from, up * from);
      ink.lineTo(across * to, up * to);
    }
    ink.stroke();
    ink.globalAlpha = 1;
  }
}
