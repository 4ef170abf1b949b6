import numpy as np
import pytest

from parley.audio import AudioFrame
from parley.audio.echo import LoudspeakerEcho, create_echo_guard
from parley.audio.echo_path import EchoState
from parley.audio.levels import level_db
from parley.audio.processing import Blocks, available
from parley.audio.resample import resample
from parley.audio.settings import MicrophoneSettings
from parley.audio.timeline import Timeline
from parley.bench.speech import ESPEAK_SPEAKERS, noise, say
from parley.bench.turns.corpus import room_response
from parley.errors import ConfigError

STORY = "Once upon a time there was a small boat that wanted to see the wide sea. It left the harbour early."
needs_livekit = pytest.mark.skipif(not available(), reason="needs the livekit package")


def room(echo_db: float, near: np.ndarray | None = None, near_at: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """What is played at 48 kHz, and what the microphone hears of it and of somebody else at 16 kHz."""
    agent = say(STORY)
    response, size = room_response(3, delay=0.15), 2 * agent.size
    heard = np.fft.irfft(np.fft.rfft(agent, size) * np.fft.rfft(response, size))[: agent.size] * 10 ** (echo_db / 20)
    heard += noise(heard.size, -70, 1)
    if near is not None:
        begin = int(near_at * 48_000)
        heard[begin : begin + near.size] += near[: heard.size - begin]
    return agent, resample(np.clip(heard, -32_768, 32_767).astype(np.int16), 48_000, 16_000)


def run(
    guard: LoudspeakerEcho, agent: np.ndarray, microphone: np.ndarray, judge: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Cleaned microphone, and the likelihood after each 20 ms."""
    cleaned, likelihoods, number = [], [], 0
    for start in range(0, microphone.size - 319, 320):
        now = 100 + (start + 320) / 16_000
        while 100 + number * 0.02 - 0.05 <= now and (number + 1) * 960 <= agent.size:
            guard.played(AudioFrame(agent[number * 960 : (number + 1) * 960].tobytes()), 100 + number * 0.02)
            number += 1
        cleaned.append(guard.clean(microphone[start : start + 320], now))
        likelihoods.append(guard.likelihood() if judge else 0.0)
    return np.concatenate(cleaned), np.array(likelihoods)


@needs_livekit
@pytest.mark.parametrize("echo_db", [-10, -20])
def test_the_agents_own_voice_is_taken_out(echo_db: float) -> None:
    agent, microphone = room(echo_db)
    cleaned, _ = run(LoudspeakerEcho(cancel=True), agent, microphone, judge=False)
    assert level_db(cleaned[16_000:]) < level_db(microphone[16_000:]) - 20


@pytest.mark.parametrize("echo_db", [-10, -20])
def test_the_agents_own_voice_is_recognised(echo_db: float) -> None:
    agent, microphone = room(echo_db)
    _, likelihoods = run(LoudspeakerEcho(cancel=False), agent, microphone)
    assert np.mean(likelihoods[50:-10] > 0.6) > 0.9


@pytest.mark.parametrize("cancel", [False, pytest.param(True, marks=needs_livekit)])
def test_somebody_else_is_not_taken_for_an_echo(cancel: bool) -> None:
    near = say("No, that is not what I meant.", ESPEAK_SPEAKERS[2])
    _, likelihoods = run(LoudspeakerEcho(cancel=cancel), *room(-10, near))
    heard_after = 3.1 if cancel else 3.16
    assert likelihoods[int(heard_after * 50) : int(3.3 * 50)].max() < 0.6


def test_with_headphones_nothing_is_taken_for_an_echo() -> None:
    near = say(
        "I would rather hear something else, if you please, and after that we can talk about it.", ESPEAK_SPEAKERS[2]
    )
    agent, microphone = room(-90, near, 0.5)
    _, likelihoods = run(LoudspeakerEcho(cancel=False), agent, microphone)
    assert np.mean(likelihoods[10:] > 0.6) < 0.1


def test_nothing_is_an_echo_while_nothing_is_played() -> None:
    guard = LoudspeakerEcho(cancel=False)
    samples = resample(say("Stop."), 48_000, 16_000)
    assert np.array_equal(guard.clean(samples, 5.0), samples)
    assert guard.likelihood() == 0.0


@needs_livekit
@pytest.mark.parametrize("size", [100, 160, 333, 960])
def test_as_many_samples_come_back_as_went_in(size: int) -> None:
    guard = LoudspeakerEcho(cancel=True)
    for number in range(20):
        guard.played(AudioFrame(bytes(1_920)), number * 0.02)
        assert guard.clean(np.ones(size, np.int16), number * size / 16_000).size == size


def test_blocks_return_the_stream_delayed_by_a_block_at_most() -> None:
    blocks, out = Blocks(), []
    stream = np.arange(1, 4_001, dtype=np.int16)
    position = 0
    for size in (100, 333, 160, 7, 900, 1_000, 1_500):
        out.append(blocks.join(blocks.cut(stream[position : position + size]), size))
        position += size
    joined = np.concatenate(out)
    assert joined.size == position
    assert np.array_equal(joined[160:], stream[: position - 160])


def test_a_timeline_follows_on_through_jitter_and_is_silent_in_gaps() -> None:
    timeline = Timeline()
    timeline.write(np.full(320, 1, np.int16), 16_000)
    timeline.write(np.full(320, 2, np.int16), 16_320 + 200)
    timeline.write(np.full(320, 3, np.int16), 20_000)
    assert timeline.read(16_000, 640).tolist() == [1] * 320 + [2] * 320
    assert not timeline.read(16_640, 3_360).any()
    assert timeline.read(20_000, 400).tolist() == [3] * 320 + [0] * 80


def test_the_settings_choose_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_echo_guard(MicrophoneSettings(echo="off")) is None
    assert create_echo_guard(MicrophoneSettings(echo="judge")) is not None
    monkeypatch.setattr("parley.audio.processing.available", lambda: False)
    with pytest.raises(ConfigError, match=r"install it with: .*(echo|livekit)"):
        create_echo_guard(MicrophoneSettings(echo="cancel"))


def test_with_headphones_the_microphone_is_heard_as_it_is() -> None:
    agent, microphone = room(-90, say("No, that is not what I meant.", ESPEAK_SPEAKERS[2]), 1.0)
    cleaned, likelihoods = run(LoudspeakerEcho(cancel=available()), agent, microphone)
    assert np.array_equal(cleaned, microphone[: cleaned.size])
    assert likelihoods[int(1.02 * 50) : int(1.12 * 50)].max() < 0.6


@needs_livekit
def test_an_echo_is_proven_before_half_a_second_of_it_was_heard() -> None:
    agent, microphone = room(-10)
    guard = LoudspeakerEcho(cancel=True)
    run(guard, agent, microphone[: int(0.65 * 16_000)])
    assert guard.path.state is EchoState.PROVEN
    assert guard.path.delay == pytest.approx(0.15, abs=0.012)


@needs_livekit
def test_headphones_that_are_plugged_in_end_the_cancelling() -> None:
    agent, loud = room(-10)
    _, still = room(-90)
    microphone = np.concatenate([loud[:16_000], still[16_000:]])
    guard = LoudspeakerEcho(cancel=True)
    run(guard, np.tile(agent, 2), np.concatenate([microphone, still]), judge=False)
    assert guard.path.state is EchoState.NONE


@needs_livekit
def test_a_loudspeaker_that_is_turned_on_is_cancelled_at_once() -> None:
    agent, loud = room(-10)
    _, still = room(-90)
    microphone = np.concatenate([still[:32_000], loud[32_000:]])
    cleaned, _ = run(LoudspeakerEcho(cancel=True), agent, microphone, judge=False)
    assert level_db(cleaned[48_000:]) < level_db(microphone[48_000:]) - 15
