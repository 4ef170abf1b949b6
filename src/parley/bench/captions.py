"""``parley bench captions``: do the page's words light up when they are heard, and what does its picture cost?

The page's loudspeaker is recorded inside a real Chromium while the agent counts, each number a burst of sound, and
the moments at which the page lights a number up are compared with the bursts; both on this machine's one clock.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from parley.bench.browser import served, tab, until, wav
from parley.bench.report import BenchOptions, Goal, LoadMeter, Row, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

TRIALS = 10
_QUESTION = "count to five"
_GAP = 90.0
"""Milliseconds of silence that part two words."""
_SILENCE = 10.0
"""Seconds in which nothing may be drawn."""

# Where the loudspeaker goes from silent to loud and back, in milliseconds since 1970.
WATCH = """async () => {
  const source = `class Bursts extends AudioWorkletProcessor {
    constructor() { super(); this.loud = false; this.quiet = 0; }
    process(inputs) {
      const block = inputs[0][0];
      let level = 0;
      if (block) for (const value of block) level = Math.max(level, Math.abs(value));
      this.quiet = level < 0.003 ? this.quiet + 1 : 0;
      const loud = level >= 0.003 || (this.loud && this.quiet < 4);
      if (loud !== this.loud) { this.loud = loud; this.port.postMessage({ loud, at: Date.now() }); }
      return true;
    }
  }
  registerProcessor("bursts", Bursts);`;
  const { audio } = window.parley;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  await audio.context.audioWorklet.addModule(url);
  const node = new AudioWorkletNode(audio.context, "bursts", { numberOfOutputs: 0 });
  window.sounds = []; window.lit = []; window.frames = [];
  node.port.onmessage = ({ data }) => window.sounds.push([data.loud, data.at]);
  audio.output.connect(node);
  window.addEventListener("parley", ({ detail }) => {
    if (detail.what !== "word") return;
    const place = window.parley.model.entries.findLast((entry) => entry.place)?.place;
    if (place && place.to > place.from) window.lit.push([place.to, performance.timeOrigin + detail.now]);
  });
  const real = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) => real((time) => {
    const before = performance.now();
    draw(time);
    window.frames.push(performance.now() - before);
  });
}"""
START = "() => { window.sounds = []; window.lit = []; }"
SAY = "(text) => window.parley.typed(text)"
SAID = """(() => {
  const { model } = window.parley;
  const last = model.entries.findLast((entry) => entry.who === 'agent');
  return last?.done && model.agent !== 'speaking' && model.agent !== 'thinking' && model.entries.at(-1) === last;
})()"""


def run(options: BenchOptions) -> list[Row]:
    """``--set voice=piper-joe`` has another voice count."""
    trials, voice = options.trials or TRIALS, options.text("voice", "espeak")
    meter = LoadMeter()
    with tempfile.TemporaryDirectory(prefix="parley-captions-") as name:
        folder = Path(name)
        microphone = wav(folder / "mic.wav", np.zeros(48_000 * 2, np.int16))
        with served(folder, voice) as url, tab(url, folder, microphone) as page:
            page.click("#connect")
            until(page, "window.parley.model.link === 'online'", 30)
            page.evaluate(WATCH)
            late, counted = _count(page, trials)
            frames: list[float] = page.evaluate("window.frames")
            still = _drawn_in_silence(page)
    params, load = {"voice": voice}, meter.read()
    return [
        row("answers with a burst for each word", "of answers", [counted / trials], params=params, load=load),
        row("word lit up, from its first sound", "ms", late, goal=Goal(p95=100), params=params, load=load),
        row("picture, script of one frame", "ms", frames, goal=Goal(p95=0.8), params=params, load=load),
        row(f"frames in {_SILENCE:g} s of silence", "frames", [still], goal=Goal(0), params=params, load=load),
    ]


def _count(page: Page, trials: int) -> tuple[list[float], int]:
    late: list[float] = []
    counted = 0
    for _ in range(trials):
        page.evaluate(START)
        page.evaluate(SAY, _QUESTION)
        until(page, SAID, 60)
        words = first_lights(page.evaluate("window.lit"))
        sounds = bursts(page.evaluate("window.sounds"))
        if len(words) == len(sounds):
            counted += 1
            late += [abs(lit - heard) for lit, heard in zip(words, sounds, strict=True)]
    return late, counted


def _drawn_in_silence(page: Page) -> int:
    """The microphone's file is over: nobody makes a sound."""
    page.wait_for_timeout(2_000)
    before: int = page.evaluate("window.frames.length")
    page.wait_for_timeout(_SILENCE * 1000)
    after: int = page.evaluate("window.frames.length")
    return after - before


def first_lights(lit: Sequence[tuple[int, float]]) -> list[float]:
    """When each word lit up first, from (end of the word, when)."""
    return [next(group)[1] for _, group in itertools.groupby(lit, key=lambda light: light[0])]


def bursts(sounds: Sequence[tuple[bool, float]]) -> list[float]:
    """Where words begin: sounds after a silence that is longer than any within a word."""
    found: list[float] = []
    silent_since = float("-inf")
    for loud, at in sounds:
        if loud and at - silent_since > _GAP:
            found.append(at)
        elif not loud:
            silent_since = at
    return found
