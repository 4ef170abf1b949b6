"""Who is heard next: the scheduler alone, and a simulation of people who talk, in virtual time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import pytest

from parley.asr.sharing import RATE, Leave, Listen, Pace, Sharing

PACE = Pace()
SLICE, RIPE, STRETCH = PACE.slice, PACE.ripe, PACE.stretch


def shared(places: int, **waiting: int) -> Sharing:
    """Turns 1, 2, 3 ... with so much audio waiting."""
    sharing = Sharing(places)
    for turn, samples in enumerate(waiting.values(), 1):
        sharing.open(turn)
        sharing.heard(turn, samples)
    return sharing


def test_who_speaks_alone_is_never_left() -> None:
    sharing = shared(1, a=0)
    for _ in range(90):
        sharing.heard(1, SLICE)
        assert sharing.next(0) == Listen(1, SLICE, last=False)
    assert sharing.next(0) is None


def test_less_than_a_grain_waits_for_more() -> None:
    sharing = shared(1, a=PACE.grain - 1)
    assert sharing.next(0) is None
    sharing.heard(1, 1)
    assert sharing.next(0) == Listen(1, PACE.grain, last=False)


def test_the_end_of_a_turn_is_heard_however_little_it_is() -> None:
    sharing = shared(1, a=1)
    sharing.ended(1, 0.0)
    assert sharing.next(0) == Listen(1, 1, last=True)


def test_a_turn_without_audio_is_ended_too() -> None:
    sharing = shared(1, a=0)
    sharing.ended(1, 0.0)
    assert sharing.next(0) == Listen(1, 0, last=True)


def test_a_turn_that_has_ended_takes_the_decoder_from_one_that_goes_on() -> None:
    sharing = shared(1, talker=10 * RATE, question=0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.heard(2, SLICE)
    sharing.ended(2, 5.0)
    assert sharing.next(0) == Leave(1)
    sharing.left(1, 0)
    assert sharing.next(0) == Listen(2, SLICE, last=True)


def test_a_short_end_goes_before_a_long_one() -> None:
    sharing = shared(1, long=20 * RATE, short=RATE)
    sharing.ended(1, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.ended(2, 1.0)
    assert sharing.next(0) == Leave(1)


def test_a_long_end_does_not_wait_for_ever() -> None:
    sharing = shared(1, long=20 * RATE, short=RATE)
    sharing.ended(1, 0.0)
    sharing.next(0)
    sharing.ended(2, 30.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)


def test_a_talker_is_left_after_its_stretch_when_somebody_else_waits() -> None:
    sharing = shared(1, one=60 * RATE, other=RIPE)
    heard = 0
    while isinstance(order := sharing.next(0), Listen):
        assert order.turn == 1
        heard += order.samples
    assert (order, heard) == (Leave(1), STRETCH)


def test_nobody_is_left_while_a_decoder_is_free() -> None:
    sharing = shared(2, one=60 * RATE, other=RIPE)
    for _ in range(STRETCH // SLICE + 3):
        assert sharing.next(0) == Listen(1, SLICE, last=False)
    assert sharing.next(1) == Listen(2, SLICE, last=False)


def test_what_was_cut_off_is_heard_again() -> None:
    sharing = shared(1, one=SLICE, other=RIPE)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    assert sharing.next(0) == Leave(1)
    sharing.left(1, 4_000)
    assert sharing.waiting(1) == 4_000


def test_a_turn_that_nobody_wants_any_more_frees_its_decoder() -> None:
    sharing = shared(1, one=RATE, other=RATE)
    sharing.next(0)
    sharing.close(1)
    assert sharing.next(0) == Listen(2, SLICE, last=False)


def test_a_long_turn_is_fixed_now_and_then_so_that_little_is_ever_heard_again() -> None:
    sharing = shared(1, one=60 * RATE)
    heard = 0
    while isinstance(order := sharing.next(0), Listen):
        heard += order.samples
    assert heard == PACE.longest


def test_a_turn_that_only_one_decoder_can_go_on_with_waits_for_that_one() -> None:
    sharing = shared(2, one=RATE, other=0)
    sharing.next(1)
    sharing.left(1, 0, home=1)
    assert sharing.next(0) is None
    assert sharing.next(1) == Listen(1, SLICE, last=False)


def test_such_a_turn_gets_its_decoder_back_although_another_one_is_free() -> None:
    sharing = shared(2, one=60 * RATE)
    sharing.next(0)
    sharing.left(1, 0, home=0)
    sharing.open(2)
    sharing.heard(2, 60 * RATE)
    sharing.close(1)
    assert sharing.next(0) == Listen(2, SLICE, last=False)
    sharing.open(3)
    sharing.left(3, RATE, home=0)
    for _ in range(STRETCH // SLICE - 1):
        sharing.next(0)
    assert sharing.next(0) == Leave(2)


def test_who_has_just_begun_goes_before_who_talks_on_and_keeps_the_decoder_between_words() -> None:
    sharing = shared(1, talker=60 * RATE)
    for _ in range(STRETCH // SLICE):
        sharing.next(0)
    sharing.open(2)
    sharing.heard(2, SLICE)
    assert sharing.next(0) == Leave(1)
    sharing.left(1, 0)
    assert sharing.next(0) == Listen(2, SLICE, last=False)
    assert sharing.next(0) is None
    sharing.heard(2, SLICE)
    assert sharing.next(0) == Listen(2, SLICE, last=False)
    sharing.silent(2, 1.0)
    assert sharing.next(0) == Listen(2, 0, last=False, pause=True)
    assert sharing.next(0) == Leave(2)


def test_who_has_just_begun_is_so_for_one_stretch() -> None:
    sharing = shared(1, talker=60 * RATE, beginner=0)
    while sharing.next(0) != Leave(1):
        sharing.heard(2, SLICE)
    sharing.left(1, 0)
    heard = 0
    while isinstance(order := sharing.next(0), Listen):
        assert order.turn == 2
        sharing.heard(2, SLICE)
        heard += order.samples
    assert (order, heard) == (Leave(2), STRETCH)


def test_who_falls_silent_is_heard_at_once_and_told_what_was_said() -> None:
    sharing = shared(1, talker=10 * RATE, question=0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.heard(2, SLICE + 1)
    sharing.silent(2, 5.0)
    sharing.heard(2, RATE // 4)
    assert sharing.next(0) == Leave(1)
    sharing.left(1, 0)
    assert sharing.next(0) == Listen(2, SLICE, last=False)
    assert sharing.next(0) == Listen(2, 1, last=False, pause=True)


def test_silence_is_heard_when_nobody_else_speaks() -> None:
    sharing = shared(1, silent=SLICE, talker=0)
    sharing.silent(1, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False, pause=True)
    sharing.heard(1, SLICE)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.heard(1, SLICE)
    sharing.heard(2, RIPE)
    assert sharing.next(0) == Leave(1)
    sharing.left(1, 0)
    assert sharing.next(0) == Listen(2, SLICE, last=False)


def test_a_voice_that_goes_on_waits_in_line_again() -> None:
    sharing = shared(1, one=SLICE, other=10 * RATE)
    sharing.silent(1, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False, pause=True)
    sharing.goes_on(1)
    sharing.heard(1, SLICE)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.silent(1, 1.0)
    assert sharing.next(0) == Listen(1, 0, last=False, pause=True)


def test_a_pause_of_somebody_far_behind_goes_before_nobody() -> None:
    sharing = shared(1, one=10 * RATE, behind=STRETCH + 1)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.silent(2, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)


def test_an_engine_that_has_settled_a_pause_is_spared_the_silence() -> None:
    sharing = Sharing(1, Pace(silence=False))
    sharing.open(1)
    sharing.heard(1, SLICE)
    sharing.silent(1, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False, pause=True)
    sharing.heard(1, 5 * SLICE)
    assert sharing.next(0) is None
    sharing.ended(1, 1.0)
    assert sharing.next(0) == Listen(1, 0, last=True)


def test_what_was_silent_is_heard_after_all_when_the_voice_goes_on() -> None:
    sharing = Sharing(1, Pace(silence=False))
    sharing.open(1)
    sharing.heard(1, SLICE)
    sharing.silent(1, 0.0)
    sharing.next(0)
    sharing.heard(1, SLICE)
    sharing.goes_on(1)
    assert sharing.next(0) == Listen(1, SLICE, last=False)


def test_a_decoder_that_dies_before_it_has_told_a_pause_owes_it_still() -> None:
    sharing = shared(1, one=2 * SLICE)
    sharing.silent(1, 0.0)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    sharing.left(1, SLICE)
    assert sharing.next(0) == Listen(1, SLICE, last=False)
    assert sharing.next(0) == Listen(1, SLICE, last=False, pause=True)


def test_talkers_take_turns() -> None:
    sharing = shared(1, one=60 * RATE, two=60 * RATE, three=60 * RATE)
    stretches: list[int] = []
    while len(stretches) < 7:
        order = sharing.next(0)
        if isinstance(order, Leave):
            stretches.append(order.turn)
            sharing.left(order.turn, 0)
    assert stretches == [1, 2, 3, 1, 2, 3, 1]


# --- people who talk, in virtual time -----------------------------------------------------


@dataclass
class Simulation:
    """Decoders that take ``1 / speed`` seconds for one of sound; leaving a turn costs half a second of it again."""

    decoders: int
    speed: float
    again: int = RATE // 2
    now: float = 0.0
    sharing: Sharing = field(init=False)
    decoded: dict[int, int] = field(default_factory=dict)
    understood: dict[int, float] = field(default_factory=dict)
    _events: list[tuple[float, int, str, int]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.sharing = Sharing(self.decoders)
        self._idle = set(range(self.decoders))

    def speak(self, turn: int, begin: float, end: float) -> None:
        """Somebody speaks from ``begin`` to ``end``."""
        self._at(begin, "open", turn)
        for frame in range(round((end - begin) * 50)):
            self._at(begin + (frame + 1) / 50, "heard", turn)
        self._at(end + 0.001, "ended", turn)

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what, who = heapq.heappop(self._events)
            if what == "open":
                self.sharing.open(who)
            elif what == "heard":
                self.sharing.heard(who, 320)
            elif what == "ended":
                self.sharing.ended(who, self.now)
            else:
                self._idle.add(who)
            for place in sorted(self._idle):
                self._carry_out(place)

    def _carry_out(self, place: int) -> None:
        order = self.sharing.next(place)
        if isinstance(order, Leave):
            self.decoded[order.turn] -= self.again
            self.sharing.left(order.turn, self.again)
            order = self.sharing.next(place)
        if order is None:
            return
        assert isinstance(order, Listen)
        self._idle.discard(place)
        self.decoded[order.turn] = self.decoded.get(order.turn, 0) + order.samples
        done = self.now + 0.02 + order.samples / RATE / self.speed
        if order.last:
            self.understood[order.turn] = done
            self.sharing.close(order.turn)
        self._at(done, "idle", place)

    def _at(self, when: float, what: str, who: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, what, who))


@pytest.mark.parametrize("decoders", [1, 2])
@pytest.mark.parametrize("speed", [2.0, 4.0])
def test_a_short_question_is_understood_soon_while_three_people_talk(decoders: int, speed: float) -> None:
    room = Simulation(decoders, speed)
    for talker in (1, 2, 3):
        room.speak(talker, 0.3 * talker, 60.0)
    asked = {10 + number: 2.0 + 2.5 * number for number in range(22)}
    for turn, begin in asked.items():
        room.speak(turn, begin, begin + 1.2)
    room.run(60.0)
    lags = sorted(room.understood[turn] - (begin + 1.2) for turn, begin in asked.items())
    assert lags[-1] < 1.2 / speed + 0.5


def test_talkers_are_heard_alike() -> None:
    room = Simulation(1, 2.0)
    for talker in (1, 2, 3):
        room.speak(talker, 0.0, 60.0)
    room.run(60.0)
    shares = [room.decoded[talker] / RATE for talker in (1, 2, 3)]
    assert max(shares) - min(shares) <= (STRETCH + SLICE) / RATE
    assert sum(shares) > 0.7 * 2.0 * 60  # what is heard twice is little


def test_two_talkers_within_the_decoders_strength_do_not_fall_behind() -> None:
    room = Simulation(1, 3.0)
    for talker in (1, 2):
        room.speak(talker, 0.0, 60.0)
    room.run(60.0)
    assert all(room.sharing.waiting(talker) < 6 * RATE for talker in (1, 2))


def test_everybody_is_understood_in_the_end() -> None:
    room = Simulation(1, 2.0)
    for turn in range(1, 9):
        room.speak(turn, 0.1 * turn, 0.1 * turn + turn)
    room.run(100.0)
    assert sorted(room.understood) == list(range(1, 9))
