"""Draws what keeping peaks below the ceiling does to a voice: level, and spectrograms to half of 48 kHz."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.audio.levels import gain_of
from parley.audio.limiter import CEILING_DB
from parley.errors import ConfigError
from parley.hints import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

_WINDOW = 1_024
_FLOOR_DB = -120.0


def draw(model: str, text: str, sounds: Mapping[str, Sound], rate: int, folder: Path) -> Path:
    """Write ``MODEL-peaks.png``: each of ``sounds`` (48 kHz) of one text; ``rate`` is the voice's own.

    Raises ConfigError when matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise ConfigError(f"Plots need matplotlib; install it with: {install('bench')}.") from None
    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.2 * (1 + len(sounds))), layout="constrained")
    levels, *pictures = figure.subplots(1 + len(sounds), 1, sharex=True)
    for name, sound in sounds.items():
        peaks = 20 * np.log10(np.maximum(1e-6, np.abs(_frames(sound)).max(axis=1)))
        levels.plot(np.arange(len(peaks)) * FRAME_SAMPLES / SAMPLE_RATE, peaks, linewidth=0.8, label=name)
    levels.axhline(CEILING_DB, color="#be123c", linewidth=0.6)
    levels.set(ylim=(-40, 6), ylabel="peak, dBFS", title=f"{model}: {text}")
    levels.legend(frameon=False, fontsize=8, ncols=len(sounds))
    for axes, (name, sound) in zip(pictures, sounds.items(), strict=True):
        _spectrogram(axes, name, sound, rate)
    pictures[-1].set_xlabel("s")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{model.replace('/', '-')}-peaks.png"
    figure.savefig(path, dpi=110)
    return path


def spectrogram(sound: Sound) -> NDArray[np.float64]:
    """dB of full scale by frequency (rows, to 24 kHz) and time, in steps of a fourth of the window."""
    padded = np.pad(sound.astype(np.float64), _WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: _WINDOW // 4]
    shape = np.hanning(_WINDOW)
    amplitude = 2 * np.abs(np.fft.rfft(windows * shape)) / shape.sum()
    decibels: NDArray[np.float64] = 20 * np.log10(np.maximum(amplitude.T, gain_of(_FLOOR_DB)))
    return decibels


def _spectrogram(axes: Axes, name: str, sound: Sound, rate: int) -> None:
    seconds, half = len(sound) / SAMPLE_RATE, SAMPLE_RATE / 2_000
    axes.imshow(
        spectrogram(sound), origin="lower", aspect="auto", extent=(0, seconds, 0, half), vmin=_FLOOR_DB, vmax=-20,
        cmap="magma",
    )  # fmt: skip
    axes.axhline(rate / 2_000, color="white", linewidth=0.5, linestyle=":")
    axes.set(ylabel="kHz")
    axes.set_title(name, fontsize=9, loc="left")


def _frames(sound: Sound) -> Sound:
    return sound[: sound.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
