"""A session's first reply through a loudspeaker, without a promise: nothing is known of the room yet."""

from functools import cache

import numpy as np
import pytest

from parley.audio.echo import LoudspeakerEcho
from parley.audio.processing import available
from parley.bench.echo import INTERRUPTIONS, STORY, Heard, PlayingRoom, listen, microphone
from parley.bench.speech import ESPEAK_SPEAKERS, FLITE_SPEAKERS, Samples, Speaker, say

pytestmark = pytest.mark.skipif(not available(), reason="needs the livekit package")

DULL = FLITE_SPEAKERS[0]
"""Its first words are one long vowel of few frequencies."""
NEAR = PlayingRoom(delay=0.092, reverberation=0.05, direct_db=0.0, seed=4)
FAR = PlayingRoom(delay=0.18, reverberation=0.2, direct_db=3.0, seed=10)


@cache
def story(speaker: Speaker) -> Samples:
    return say(STORY, speaker)


def heard(speaker: Speaker, echo_db: float, room: PlayingRoom, near: Samples | None = None, at: float = 0.0) -> Heard:
    """What a session makes of it until a second after ``at``, or of all of it."""
    agent = story(speaker)
    recording = microphone(agent, echo_db, room, agent[:0] if near is None else near, at)
    return listen(LoudspeakerEcho(cancel=True), agent, recording, np.inf if near is None else at + 1)


@pytest.mark.parametrize("echo_db", [-10.0, -20.0])
@pytest.mark.parametrize("room", [NEAR, FAR])
def test_a_dull_voice_does_not_interrupt_itself(echo_db: float, room: PlayingRoom) -> None:
    assert heard(DULL, echo_db, room).evidence == []


# In each of them the canceller lets an interruption pass while it is still learning the room.
LEARNING = {
    "near": (PlayingRoom(0.06, 0.3, 3.0, 11), FLITE_SPEAKERS[1], ESPEAK_SPEAKERS[3], INTERRUPTIONS[3]),
    "live": (PlayingRoom(0.115, 0.1, 0.0, 5), FLITE_SPEAKERS[1], ESPEAK_SPEAKERS[1], INTERRUPTIONS[1]),
    "dry": (PlayingRoom(0.085, 0.05, 6.0, 8), ESPEAK_SPEAKERS[2], DULL, INTERRUPTIONS[0]),
}


@pytest.mark.parametrize(("room", "agent", "participant", "words"), LEARNING.values(), ids=LEARNING.keys())
def test_who_speaks_while_the_room_is_being_learnt_is_heard(
    room: PlayingRoom, agent: Speaker, participant: Speaker, words: str
) -> None:
    evidence = heard(agent, -10.0, room, say(words, participant), 1.6).evidence
    assert 1.6 < evidence[0] < 2.1


@pytest.mark.parametrize(("room", "agent"), [case[:2] for case in LEARNING.values()], ids=LEARNING.keys())
def test_nobody_is_heard_in_what_a_room_makes_of_the_agent_while_it_is_being_learnt(
    room: PlayingRoom, agent: Speaker
) -> None:
    # In "near" a sound that dies away was taken for somebody: for 0.1 s the levels held nothing newer than its end.
    assert heard(agent, -10.0, room).evidence == []
