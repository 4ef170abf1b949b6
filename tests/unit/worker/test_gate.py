"""The limit on texts that are spoken on one GPU at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parley.errors import ParleyError
from parley.values import SynthesizedAudio, Voice
from parley.worker.gate import Gate


@dataclass(eq=False)
class Text:
    """A job of a test."""

    text: str
    waiting_audio: float = 0.0
    hungry: bool = True
    voice: Voice = Voice()
    cancelled: bool = False
    over: bool = False

    def ahead(self) -> float:
        return self.waiting_audio

    def wants_more(self) -> bool:
        return self.hungry

    def started(self, pid: int = 0) -> None:
        """Nobody counts it."""

    def push(self, audio: SynthesizedAudio, seconds: float) -> None:
        """Nobody hears it."""

    def finished(self, error: ParleyError | None) -> None:
        self.over = True


class Machine:
    """Engines that hold what they are given."""

    def __init__(self, limit: int) -> None:
        self.gate = Gate(limit)
        self.running: list[Any] = []
        self.woken = 0

    def submit(self, job: Text) -> None:
        self.gate.submit(job, self.running.append, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def finish(self, text: str) -> None:
        job = next(job for job in self.running if job.text == text)
        self.running.remove(job)
        job.finished(None)

    @property
    def texts(self) -> list[str]:
        return [job.text for job in self.running]


def test_no_more_texts_run_than_the_gate_lets_through() -> None:
    machine = Machine(2)
    for text in "abc":
        machine.submit(Text(text))
    assert machine.texts == ["a", "b"]


def test_the_end_of_one_is_the_beginning_of_the_next() -> None:
    machine = Machine(1)
    first = Text("a")
    machine.submit(first)
    machine.submit(Text("b"))
    machine.finish("a")
    assert first.over
    assert machine.texts == ["b"]


def test_the_utterance_with_the_least_audio_goes_first() -> None:
    machine = Machine(1)
    machine.submit(Text("a"))
    machine.submit(Text("plenty", waiting_audio=5.0))
    machine.submit(Text("hungry", waiting_audio=0.1))
    machine.finish("a")
    assert machine.texts == ["hungry"]


def test_a_held_text_runs_to_its_end_while_others_wait() -> None:
    machine = Machine(1)
    machine.submit(Text("held", hungry=False))
    (running,) = machine.running
    assert not running.wants_more()
    machine.submit(Text("other"))
    assert running.wants_more()
    assert machine.woken == 1
