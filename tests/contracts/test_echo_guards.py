"""What every EchoGuard does, whether it judges alone or cancels too."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.audio.echo import LoudspeakerEcho
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.audio.processing import available
from parley.bench.echo import PlayingRoom, microphone
from parley.bench.speech import ESPEAK_SPEAKERS, Samples, say
from parley.interfaces import EchoGuard

Make = Callable[[], EchoGuard]
RATE = 16_000
ROOM = PlayingRoom(delay=0.12, reverberation=0.1, direct_db=3.0, seed=2)
GUARDS: dict[str, Make] = {"judge": lambda: LoudspeakerEcho(cancel=False)} | (
    {"cancel": lambda: LoudspeakerEcho(cancel=True)} if available() else {}
)
every_guard = pytest.mark.parametrize("make", GUARDS.values(), ids=GUARDS.keys())


@pytest.fixture(scope="module")
def agent() -> Samples:
    return say("Once upon a time there was a small boat that wanted to see the wide sea.")


def play(guard: EchoGuard, agent: Samples, heard: Samples, pieces: list[int]) -> tuple[Samples, list[float]]:
    """Frames as they are played, the microphone in pieces of these sizes in turn; what comes back, and judgements."""
    cleaned, judged, sent, start, turn = [], [], 0, 0, 0
    while start < heard.size:
        piece = heard[start : start + pieces[turn % len(pieces)]]
        start, turn = start + piece.size, turn + 1
        now = 50 + start / RATE
        while 50 + 0.02 * sent - 0.05 <= now and (sent + 1) * FRAME_SAMPLES <= agent.size:
            frame = agent[sent * FRAME_SAMPLES : (sent + 1) * FRAME_SAMPLES]
            guard.played(AudioFrame(frame.tobytes()), 50 + 0.02 * sent)
            sent += 1
        cleaned.append(guard.clean(piece, now))
        judged.append(guard.likelihood())
        assert cleaned[-1].size == piece.size
        assert cleaned[-1].dtype == np.int16
        assert 0 <= judged[-1] <= 1
    return np.concatenate(cleaned), judged


@every_guard
@settings(max_examples=8, deadline=None)
@given(pieces=st.lists(st.integers(1, 1_600), min_size=2, max_size=5))
def test_as_many_samples_come_back_whatever_the_pieces(make: Make, pieces: list[int], agent: Samples) -> None:
    heard = microphone(agent, -10, ROOM, agent[:0], 0)[:RATE]
    cleaned, _ = play(make(), agent, heard, [*pieces, 800])
    assert cleaned.size == heard.size


@every_guard
def test_before_anything_is_played_the_microphone_is_left_as_it_is(make: Make, agent: Samples) -> None:
    heard = microphone(agent, None, ROOM, agent, 0.1)
    cleaned, judged = play(make(), agent[:0], heard, [320])
    assert np.array_equal(cleaned, heard)
    assert max(judged) == 0


@every_guard
def test_with_headphones_the_microphone_is_left_as_it_is(make: Make, agent: Samples) -> None:
    near = say("No, that is not what I meant.", ESPEAK_SPEAKERS[1])
    heard = microphone(agent, None, ROOM, near, 2.0)[: 4 * RATE]
    cleaned, judged = play(make(), agent, heard, [320])
    assert np.array_equal(cleaned, heard)
    assert np.mean(np.array(judged[100:]) >= 0.6) < 0.05  # chance may say so for a moment, never for a word


@every_guard
def test_the_agents_own_voice_is_judged_to_be_its_own(make: Make, agent: Samples) -> None:
    heard = microphone(agent, -10, ROOM, agent[:0], 0)[: agent.size // 3]
    _, judged = play(make(), agent, heard, [320])
    assert np.mean(np.array(judged[50:-10]) >= 0.6) > 0.9


@every_guard
def test_two_guards_share_nothing(make: Make, agent: Samples) -> None:
    heard = microphone(agent, -20, ROOM, agent[:0], 0)[: 2 * RATE]
    alone = play(make(), agent, heard, [320])
    play(make(), agent, microphone(agent, -10, ROOM, agent, 0.5), [320])
    again = play(make(), agent, heard, [320])
    assert np.array_equal(alone[0], again[0])
    assert alone[1] == again[1]
