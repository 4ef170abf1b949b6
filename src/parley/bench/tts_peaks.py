"""What keeping peaks below the ceiling does to a voice.

A voice's own audio is brought to 48 kHz and to the common loudness, and then limited, as a worker does it; a knee
at -4 dBFS, which bends each sample by itself, stands beside it for comparison. Definitions, per frame of 20 ms with
speech (within 35 dB of the loudest):

- ``over the knee``: frames with a sample above -4 dBFS; ``gain moved``: frames in which the limiter changed a sample.
- ``above the band``: energy above the voice's own band against all of the frame's, in frames over the knee.
- ``loudness``: of each text, integrated, behind the limiter.
- ``clicks``: steps between two samples that stand out of the 20 ms around them, behind the limiter and not before it.
- ``cpu``: time of the limiter for a second of audio.

``--set plots=FOLDER`` draws the text with the most such frames: its peaks, and three spectrograms.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from parley.audio.levels import gain_of, to_float
from parley.audio.limiter import CEILING_DB, Limiter
from parley.audio.loudness import LoudnessNormalizer, gain_to, loudness
from parley.audio.resample import StreamingResampler
from parley.bench.report import Param, Row, row
from parley.bench.tts_marks import TEXTS
from parley.values import Voice
from parley.worker.engine_pool import WARM_UP_TEXT
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parley.interfaces import TtsAdapter

    Sound = NDArray[np.float32]

_KNEE_DB = -4.0
_SPEECH_DB = -35.0
_OUTSTANDING = 10.0
_SLICE = SAMPLE_RATE // 2
"""Samples that a worker limits at a time."""
_ROUNDS = 5


def run(folder: Path, models: Sequence[str], plots: str = "") -> list[Row]:
    """Rows for each of ``models`` of the packs in ``folder``; pictures where ``plots`` names a folder."""
    catalog = VoicePackCatalog((folder,))
    rows: list[Row] = []
    for model in models:
        adapter = catalog.create(model)
        adapter.load()
        try:
            rows += _measure(adapter, model, plots)
        finally:
            adapter.unload()
    return rows


def _measure(adapter: TtsAdapter, model: str, plots: str) -> list[Row]:
    warm, rate = _spoken(adapter, WARM_UP_TEXT)
    gain = gain_to(warm, rate)
    over, moved, cpu, loud, clicking, heard = [], [], [], [], [], []
    above: dict[str, list[float]] = {"as it comes": [], "bent at the knee": [], "limited": []}
    for text in TEXTS:
        plain = _levelled(*_spoken(adapter, text), gain)
        limited, seconds = _limited(plain)
        cpu.append(1000 * seconds / (plain.size / SAMPLE_RATE))
        loud.append(loudness(limited, SAMPLE_RATE))
        clicking.append(float(clicks(limited) - clicks(plain)))
        heard.append((plain, limited))
        frames, after = _frames(plain), _frames(limited)
        level = np.sqrt(np.mean(frames**2, axis=1))
        speech = level > level.max() * gain_of(_SPEECH_DB)
        peaks = np.abs(frames).max(axis=1) > gain_of(_KNEE_DB)
        over.append(100 * float(np.mean(peaks[speech])))
        moved.append(100 * float(np.mean(np.any(frames != after, axis=1)[speech])))
        for name, sound in zip(above, (frames, bent(frames), after), strict=True):
            above[name] += above_band(sound[speech & peaks], rate)
    params: dict[str, Param] = {"model": model}
    if plots:
        worst = int(np.argmax(over))
        _draw(plots, model, TEXTS[worst], heard[worst], rate)
    return [
        row("peaks over the knee", "% of frames", over, params=params),
        row("gain moved", "% of frames", moved, params=params),
        *(row(f"above the band, {name}", "dB", values, params=params) for name, values in above.items()),
        row("loudness", "LUFS", loud, params=params),
        row("clicks that the limiter made", "of each text", clicking, params=params),
        row("limiter, cpu", "ms/s", cpu, params=params),
    ]


def _draw(plots: str, model: str, text: str, heard: tuple[Sound, Sound], rate: int) -> None:
    from parley.bench.tts_peaks_plots import draw

    plain, limited = heard
    sounds = {"as it comes": plain, "bent at the knee": bent(plain), "limited": limited}
    draw(model, text, sounds, rate, Path(plots))


def clicks(sound: Sound) -> int:
    """Steps between two samples that are ten times what is usual in the 20 ms around them, and not inaudible."""
    steps = np.abs(_frames(np.diff(sound, n=2)))
    usual = np.sqrt(np.mean(steps**2, axis=1, keepdims=True))
    return int(np.sum((steps > _OUTSTANDING * usual) & (steps > gain_of(_SPEECH_DB))))


def _spoken(adapter: TtsAdapter, text: str) -> tuple[Sound, int]:
    pieces = list(adapter.synthesize(text, voice=Voice()))
    return np.concatenate([to_float(piece.samples) for piece in pieces]), pieces[0].sample_rate


def _levelled(samples: Sound, rate: int, gain: float) -> Sound:
    resampler = StreamingResampler(rate, SAMPLE_RATE, dtype="float32")
    at_48_khz = np.concatenate([resampler.process(samples), resampler.flush()])
    return LoudnessNormalizer(SAMPLE_RATE, initial_gain_db=gain).process(at_48_khz)


def _limited(sound: Sound) -> tuple[Sound, float]:
    """The sound behind the limiter, and the seconds of CPU that it took."""
    began = time.process_time()
    for _ in range(_ROUNDS):
        limiter = Limiter(SAMPLE_RATE)
        pieces = [limiter.process(sound[at : at + _SLICE]) for at in range(0, sound.size, _SLICE)]
        pieces.append(limiter.flush())
    return np.concatenate(pieces), (time.process_time() - began) / _ROUNDS


def _frames(sound: Sound) -> Sound:
    return sound[: sound.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def bent(sound: Sound) -> Sound:
    """Each sample above the knee bent by itself so that none passes the ceiling."""
    knee, room = gain_of(_KNEE_DB), gain_of(CEILING_DB) - gain_of(_KNEE_DB)
    magnitude = np.abs(sound)
    curve = knee + room * np.tanh((magnitude - knee) / room)
    return np.where(magnitude > knee, np.copysign(curve, sound), sound).astype(np.float32)


def above_band(frames: Sound, rate: int) -> list[float]:
    """dB of what lies above the band of audio at ``rate``, against all of each frame."""
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES))) ** 2
    outside = np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE) > 1.05 * rate / 2
    share = power[:, outside].sum(axis=1) / np.maximum(1e-20, power.sum(axis=1))
    return [float(value) for value in 10 * np.log10(share + 1e-16)]
