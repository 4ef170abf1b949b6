"""Somebody begins with an "s", stops, and begins again over a reply: real sound, the real detector, a whole session."""

from __future__ import annotations

import pytest

from parley.bench.speech import ESPEAK_SPEAKERS, RATE, Speaker, say
from parley.bench.turns import harness
from parley.bench.turns.corpus import Case, Sound, quieter
from parley.bench.turns.ears import TrueWords
from parley.bench.turns.room import TICK, Room
from parley.vad import create_vad

AT = 1.5
"""Seconds into the reply."""
AGAIN = 0.2
"""Seconds from the false start to the word: within those in which a detector's scores would still be fading."""
SPEAKERS = [speaker for speaker in ESPEAK_SPEAKERS if speaker.name.endswith(("klatt4", "f5"))]
"""Those whose second pause was late once."""


def pauses(monkeypatch: pytest.MonkeyPatch, *sounds: Sound) -> list[tuple[float, float]]:
    """When the reply was held, from and until, in seconds from ``AT`` on; times are the session's own."""
    rooms: list[Room] = []

    class Remembered(Room):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            rooms.append(self)

    monkeypatch.setattr(harness, "Room", Remembered)
    harness.play(Case("s", "interruption", sounds, 20.0, 1), harness.System("s", create_vad, TrueWords))
    (room,) = rooms
    assert room.sounds_from is not None
    origin = room.sounds_from + AT
    return [(low - origin, (high or float("inf")) - origin) for low, high in room.silences]


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
def test_an_early_pause_that_was_taken_back_does_not_make_the_second_one_late(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = say("Stop, please.", speaker)
    false_start, soft = word[: int(0.03 * RATE)], quieter(word, 12)
    alone = next(low for low, _ in pauses(monkeypatch, Sound(soft, AT, "stop please")) if low >= 0)
    held = pauses(monkeypatch, Sound(false_start, AT), Sound(soft, AT + AGAIN, "stop please"))
    (first, taken_back), second = [pause for pause in held if pause[0] >= 0][:2]
    assert 0 <= first < taken_back <= AGAIN
    assert second[0] - AGAIN <= alone + TICK / 2
