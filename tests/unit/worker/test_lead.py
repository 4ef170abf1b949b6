"""Whose sentence is spoken next where many wait: that of who is least ahead of their listener."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from parley.values import Voice
from parley.worker.job import take_next
from parley.worker.lead import Lead

if TYPE_CHECKING:
    from parley.errors import ParleyError


@dataclass(eq=False)
class Waiting:
    """A piece that waits for an engine."""

    text: str
    lead: float = 0.0
    cancelled: bool = False
    voice: Voice = Voice()

    def ahead(self) -> float:
        return self.lead

    def wants_more(self) -> bool:
        return True

    def started(self, pid: int = 0) -> None: ...

    def push(self, audio: Any, seconds: float) -> None: ...

    def finished(self, error: ParleyError | None) -> None: ...


def test_audio_counts_until_its_time_has_gone_by() -> None:
    lead = Lead()
    lead.made(3.0, 10.0)
    assert [lead.ahead(now) for now in (10.0, 11.0, 13.0, 60.0)] == pytest.approx([3.0, 2.0, 0.0, 0.0])
    lead.made(1.0, 60.0)
    assert lead.ahead(60.5) == pytest.approx(0.5)


def test_who_has_one_reply_after_the_other_begun_is_further_ahead_than_somebody_who_listens() -> None:
    listener, flooder = Lead(), Lead()
    for second in range(5):
        listener.made(1.0, float(second))
        for _ in range(5):
            flooder.made(1.0, float(second))
    assert listener.ahead(5.0) == pytest.approx(0.0)
    assert flooder.ahead(5.0) == pytest.approx(20.0)


def test_the_hungriest_goes_first_and_the_others_in_order() -> None:
    line: deque[Any] = deque([Waiting("a", 3.0), Waiting("b", 0.5), Waiting("c", 3.0), Waiting("d", 0.0)])
    assert [take_next(line).text for _ in range(4)] == ["d", "b", "a", "c"]
    assert not line


def test_what_nobody_wants_any_more_is_done_with_first() -> None:
    line: deque[Any] = deque([Waiting("a"), Waiting("b", 9.0, cancelled=True)])
    assert take_next(line).text == "b"
