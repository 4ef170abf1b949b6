"""Sound in the formats of the Realtime interface: what goes in comes out."""

from __future__ import annotations

import numpy as np
import pytest

from parley.api.realtime.formats import Loudspeaker, Microphone, to_alaw, to_ulaw

# The beginning of each segment and the loudest values, with their codes (G.711, tables 1 and 2).
ULAW = [(0, 0xFF), (8, 0xFE), (-8, 0x7E), (132, 0xEF), (-132, 0x6F), (32_124, 0x80), (-32_124, 0x00)]
ALAW = [(8, 0xD5), (-8, 0x55), (24, 0xD4), (32_256, 0xAA), (-32_256, 0x2A)]


@pytest.mark.parametrize(("sample", "code"), ULAW)
def test_mu_law_has_the_codes_of_the_standard(sample: int, code: int) -> None:
    assert to_ulaw(np.array([sample], np.int16))[0] == code


@pytest.mark.parametrize(("sample", "code"), ALAW)
def test_a_law_has_the_codes_of_the_standard(sample: int, code: int) -> None:
    assert to_alaw(np.array([sample], np.int16))[0] == code


@pytest.mark.parametrize(("kind", "coded"), [("audio/pcmu", to_ulaw), ("audio/pcma", to_alaw)])
def test_every_code_comes_back_as_itself(kind: str, coded: object) -> None:
    from parley.api.realtime import formats

    table = formats._FROM_ULAW if kind == "audio/pcmu" else formats._FROM_ALAW
    codes = np.arange(256, dtype=np.uint8)
    again = coded(table)  # type: ignore[operator]
    different = codes[again != codes]
    assert list(different) in ([], [0x7F])  # mu-law has two zeros


def tone(rate: int, frequency: float, seconds: float) -> np.ndarray:
    return (8_000 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype("<i2")


@pytest.mark.parametrize(
    ("kind", "rate", "width", "noise"), [("audio/pcm", 24_000, 2, 0.01), ("audio/pcmu", 8_000, 1, 0.05)]
)
def test_a_tone_that_is_said_is_the_tone_that_is_heard(kind: str, rate: int, width: int, noise: float) -> None:
    speaker, pcm = Loudspeaker(kind), tone(48_000, 440, 0.5).tobytes()
    data = b"".join(speaker.data(pcm[start : start + 1_920]) for start in range(0, len(pcm), 1_920))
    assert len(data) == rate * width // 2
    heard = np.frombuffer(Microphone(kind).samples(data), "<i2").astype(float)
    assert abs(heard.size - 8_000) <= 64
    middle = heard[1_000:7_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    loudest = np.argmax(spectrum) * 16_000 / middle.size
    assert abs(loudest - 440) < 5
    around = int(440 * middle.size / 16_000)
    spectrum[around - 8 : around + 9] = 0
    assert np.sqrt((spectrum**2).sum()) < noise * middle.size * 8_000 / 4


def test_what_is_above_the_band_does_not_come_back_below_it() -> None:
    speaker, pcm = Loudspeaker("audio/pcmu"), tone(48_000, 6_000, 0.2).tobytes()
    data = b"".join(speaker.data(pcm[start : start + 1_920]) for start in range(0, len(pcm), 1_920))
    heard = np.frombuffer(Microphone("audio/pcmu").samples(data), "<i2").astype(float)
    assert np.sqrt((heard[500:] ** 2).mean()) < 60


def test_half_a_sample_waits_for_its_other_half() -> None:
    data = tone(24_000, 440, 0.1).tobytes()
    whole, split = Microphone("audio/pcm"), Microphone("audio/pcm")
    pieces = b"".join(split.samples(data[start : start + 333]) for start in range(0, len(data), 333))
    together = np.frombuffer(whole.samples(data), "<i2").astype(int)
    assert np.abs(np.frombuffer(pieces, "<i2")[:1_500] - together[:1_500]).max() <= 8
    assert whole.seconds(data) == pytest.approx(0.1)
