"""Every format, made piece by piece and read again by the library that players use."""

from __future__ import annotations

import io
import wave

import av
import numpy as np
import pytest

from parley.api.encoding import FORMATS

TONE = (8_000 * np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000)).astype(np.int16)


def made(name: str, frame: int = 960) -> tuple[bytes, int]:
    """A file, and how many of its bytes were there before its end was known."""
    encoder = FORMATS[name]()
    early = b"".join(encoder.add(TONE[at : at + frame].tobytes()) for at in range(0, TONE.size, frame))
    return early + encoder.finish(), len(early)


def heard(file: bytes) -> np.ndarray:
    with av.open(io.BytesIO(file)) as container:
        resampler = av.AudioResampler("s16", "mono", 48_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in (*frames, *resampler.resample(None))])


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pcm"])
def test_a_file_holds_what_was_said_and_grows_while_it_is_said(name: str) -> None:
    file, early = made(name)
    samples = heard(file)
    assert early > 0.8 * len(file)
    # A coder of blocks begins with up to two of silence and ends with part of one.
    assert TONE.size <= samples.size + 480 < TONE.size + 5_000
    spectrum = np.abs(np.fft.rfft(samples[4_800:86_400]))
    assert abs(np.argmax(spectrum) * 48_000 / 81_600 - 440) < 2
    assert 0.9 < np.std(samples[9_600:86_400]) / np.std(TONE) < 1.1


def test_pcm_is_24_khz_and_loses_no_sample() -> None:
    file, _ = made("pcm")
    assert len(file) == TONE.size


def test_the_frames_size_changes_nothing() -> None:
    small, large = (np.frombuffer(made("pcm", frame)[0], np.int16) for frame in (960, 4_800))
    assert np.abs(small.astype(int) - large).max() <= 2  # rounding and dither


def test_a_wav_of_unknown_length_is_read_by_pythons_own_reader() -> None:
    with wave.open(io.BytesIO(made("wav")[0])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert len(file.readframes(1 << 20)) == TONE.size
