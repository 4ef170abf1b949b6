"""Speech for benchmarks and tests, made at run time: nothing is downloaded, nothing is recorded.

espeak-ng comes with Parley; flite is used where it is installed, as a second, less robotic speaker.
Each utterance is spoken by a fresh process, so that the same words are the same samples every time.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE = 48_000
"""Hz of everything that this module returns."""
SPEECH_LEVEL_DB = -23.0
"""Level of the active part of every utterance, dB below full scale."""
ONSET_DB = -35.0
"""The strict onset: the first 5 ms within this many dB of the utterance's loudest 5 ms."""

_SYNCHRONOUS, _DONT_EXIT, _UTF8, _PHONEMES = 2, 0x8000, 1, 0x100
_SPEAK_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody who can be asked to say something."""

    engine: str
    """"espeak" or "flite"."""
    voice: str
    rate_wpm: int = 175

    @property
    def name(self) -> str:
        return f"{self.engine}:{self.voice}"


ESPEAK_SPEAKERS = (
    Speaker("espeak", "en-us+klatt3"),
    Speaker("espeak", "en-us+klatt4", 160),
    Speaker("espeak", "en-us+f5", 160),
    Speaker("espeak", "en-us", 165),
)
FLITE_SPEAKERS = (Speaker("flite", "slt"), Speaker("flite", "rms"))


def speakers() -> tuple[Speaker, ...]:
    """All speakers that this machine has."""
    return ESPEAK_SPEAKERS + (FLITE_SPEAKERS if shutil.which("flite") else ())


@functools.cache
def say(text: str, speaker: Speaker = ESPEAK_SPEAKERS[0]) -> Samples:
    """Speak ``text``: mono s16 at 48 kHz, levelled, without silence around it. Do not write to the result.

    espeak-ng takes phonemes in double brackets: a hum has no spelling that speakers agree on.
    """
    rate, samples = (_espeak if speaker.engine == "espeak" else _flite)(text, speaker)
    speech = soxr.resample(samples.astype(np.float32) / 32768, rate, RATE, quality="HQ")
    levelled = level(trim(speech), SPEECH_LEVEL_DB)
    levelled.setflags(write=False)
    return levelled


def _espeak(text: str, speaker: Speaker) -> tuple[int, Samples]:
    command = [sys.executable, "-m", "parley.bench.speech", speaker.voice, str(speaker.rate_wpm)]
    run = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_SPEAK_TIMEOUT, check=True)
    return int.from_bytes(run.stdout[:4], "little"), np.frombuffer(run.stdout[4:], np.int16)


def _flite(text: str, speaker: Speaker) -> tuple[int, Samples]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        command = ["flite", "-voice", speaker.voice, "-t", text, "-o", str(path)]
        subprocess.run(command, capture_output=True, timeout=_SPEAK_TIMEOUT, check=True)
        with wave.open(str(path)) as file:
            return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


def trim(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the silence around: what is left begins at the strict onset and ends with the last such block."""
    voiced = np.flatnonzero(_voiced_blocks(speech))
    if not len(voiced):
        return speech
    block = RATE // 200
    return speech[voiced[0] * block : (voiced[-1] + 1) * block]


def _voiced_blocks(speech: NDArray[np.float32]) -> NDArray[np.bool_]:
    block = RATE // 200
    blocks = speech[: len(speech) // block * block].reshape(-1, block)
    if not len(blocks):
        return np.zeros(0, np.bool_)
    power = np.mean(blocks.astype(np.float64) ** 2, axis=1)
    voiced: NDArray[np.bool_] = power > power.max() * 10 ** (ONSET_DB / 10)
    return voiced


def level(speech: NDArray[np.float32], level_db: float) -> Samples:
    """Scale so that the active part has this level (dB below full scale); clips what is over."""
    active = speech[np.abs(speech) > np.abs(speech).max(initial=0) * 0.05]
    rms = float(np.sqrt(np.mean(active.astype(np.float64) ** 2))) if len(active) else 1.0
    return to_int16(speech * np.float32(10 ** (level_db / 20) / max(rms, 1e-9)))


def to_int16(samples: NDArray[np.float32]) -> Samples:
    """Float in -1..1 to s16, clipped."""
    return np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)


def noise(count: int, level_db: float, seed: int, colour: str = "pink") -> Samples:
    """``count`` samples of "pink" or "white" noise at this level."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(count)
    if colour == "pink" and count > 1:
        spectrum = np.fft.rfft(white)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        white = np.fft.irfft(spectrum, count)
    white *= 10 ** (level_db / 20) / max(float(np.sqrt(np.mean(white**2))), 1e-9)
    return to_int16(white.astype(np.float32))


def mix(*parts: Samples) -> Samples:
    """Add parts of equal length, clipped."""
    total = np.sum([part.astype(np.int32) for part in parts], axis=0)
    mixed: Samples = np.clip(total, -32768, 32767).astype(np.int16)
    return mixed


class _Event(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("rest", ctypes.c_char * 44))


def _speak_to_stdout(voice: str, rate_wpm: int) -> None:
    """The child: text on stdin; the sample rate (4 bytes, little endian) and s16 samples on stdout."""
    import espeakng_loader

    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"espeak-ng has no voice {voice}")
    pieces = [rate.to_bytes(4, "little")]

    def on_audio(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: object) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = callback_type(on_audio)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetParameter(1, rate_wpm, 0)
    text = sys.stdin.buffer.read() + b"\0"
    library.espeak_Synth(text, len(text), 0, 1, 0, _UTF8 | _PHONEMES, None, None)
    sys.stdout.buffer.write(b"".join(pieces))


if __name__ == "__main__":
    _speak_to_stdout(sys.argv[1], int(sys.argv[2]))
