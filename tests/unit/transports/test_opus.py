"""Opus packets: their length, their delay, and silence that costs nothing."""

from __future__ import annotations

import numpy as np

from parley.transports.opus import LOOK_AHEAD_SAMPLES, SILENT_PACKETS, OpusDecoder, OpusEncoder
from parley.transports.rtp_order import opus_samples


def tone(frames: int) -> np.ndarray:
    time = np.arange(frames * 960) / 48_000
    return (8_000 * np.sin(2 * np.pi * (300 + 900 * time) * time)).astype(np.int16)


def through(signal: np.ndarray) -> np.ndarray:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    pcm = b"".join(
        decoder.decode(encoder.encode(signal[at : at + 960].tobytes()), 960) for at in range(0, signal.size, 960)
    )
    return np.frombuffer(pcm, np.int16)


def test_a_signal_comes_back_after_the_look_ahead() -> None:
    signal = tone(50).astype(float)
    heard = through(tone(50)).astype(float)
    window = slice(4_800, 24_000)
    match = [float(np.dot(signal[window], heard[4_800 + lag : 24_000 + lag])) for lag in range(2 * LOOK_AHEAD_SAMPLES)]
    assert int(np.argmax(match)) == LOOK_AHEAD_SAMPLES
    assert opus_samples(OpusEncoder().encode(tone(1).tobytes())) == 960


def test_settled_silence_is_one_constant_that_the_codec_itself_would_send() -> None:
    encoder = OpusEncoder()
    encoder.encode(tone(1).tobytes())
    packets = [encoder.encode_silence() for _ in range(40)]
    assert packets[30:] == [SILENT_PACKETS[960]] * 10


def test_speech_after_skipped_silence_decodes_as_if_nothing_had_been_skipped() -> None:
    signal = np.concatenate([tone(5), np.zeros(960 * 30, np.int16), tone(20)])
    heard = through(signal)[LOOK_AHEAD_SAMPLES:].astype(float)
    spoken = signal[: heard.size].astype(float)
    tail = slice(960 * 36, 960 * 54)
    error = np.sqrt(np.mean((heard[tail] - spoken[tail]) ** 2)) / np.sqrt(np.mean(spoken[tail] ** 2))
    assert error < 0.25


def test_a_broken_packet_becomes_silence_of_its_length() -> None:
    assert OpusDecoder().decode(b"\xfb\x83", 960) == bytes(1920)
