"""Random histories of half a minute and more, with every kind of event and failure: nothing hangs, nothing is lost.

``PARLEY_HISTORIES`` says how many; ``test_random_histories`` lives through many more, coarser ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from parley.errors import EngineError, NotFound, UnavailableError
from parley.messages import EndTurn, Interrupt, SayEnd, SetVoice
from parley.session.decide.floor_table import TABLE, Agent, Participant
from parley.session.log import Transition
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel, FakeSynthesizer
from parley.testing.person import AttentiveRecognizer, Person, person_in
from parley.testing.virtual_time import run_virtual
from parley.values import Deadlines, Voice

HISTORIES = int(os.environ.get("PARLEY_HISTORIES", "30"))
STORY = "Once upon a time there was a king who had three daughters and no patience."
LIMITS = LimitSettings(
    asr_timeout=1.5,
    asr_late=2.0,
    tts_timeout=2.0,
    tts_between=1.0,
    say_timeout=2.0,
    max_turn=6.0,
    text_burst=1_000,
)
CALM = 15.0
"""Seconds of peace after which all limits have passed."""

Deed = Callable[[Person], None]
reached: set[tuple[str, str, str]] = set()


def says(text: str) -> Deed:
    def deed(person: Person) -> None:
        recognizer = person.talk.recognizer
        assert isinstance(recognizer, AttentiveRecognizer)
        recognizer.said = text

    return deed


def loud(person: Person) -> None:
    person.loud = True


def quiet(person: Person) -> None:
    person.loud = person.soft = False


def soft(person: Person) -> None:
    person.soft = True


def mute(person: Person) -> None:
    person.muted = not person.muted


def presses(message: object) -> Deed:
    return lambda person: person.talk.say(message)  # type: ignore[arg-type]


def recogniser(**state: object) -> Deed:
    usual = {"latency": 0.0, "error": None, "hang": False}
    return lambda person: _set(person.talk.recognizer, **{**usual, **state})


def model(**state: object) -> Deed:
    usual = {"first_delta": 0.0, "delta": 0.0, "error": None, "fail_after": 0, "hang": False}
    return lambda person: _set(person.talk.language_model, **{**usual, **state})


def voice(**state: object) -> Deed:
    usual = {"latency": 0.0, "pace": 0.0, "error": None, "fail_after": 0, "hang_after": None}
    return lambda person: _set(person.talk.synthesizer, **{**usual, **state})


def _set(thing: object, **state: object) -> None:
    for name, value in state.items():
        setattr(thing, name, value)


SPEAKING: tuple[Deed, ...] = (loud, loud, quiet, quiet, quiet, soft, mute)
SAYING = tuple(says(text) for text in ("", "mhm", "stop", "what time is it", "tell me a long story about the sea"))
TEXTS: tuple[Deed, ...] = (
    lambda person: person.type(f"question {len(person.typed)}"),
    lambda person: person.give(f"Notice number {len(person.given)}."),
    lambda person: person.give(f"Part {len(person.given)} of", ended=False),
    presses(SayEnd()),
)
BUTTONS = (presses(Interrupt()), presses(EndTurn()), presses(SetVoice(Voice("other"))))
TROUBLES = (
    recogniser(),
    recogniser(latency=0.4),
    recogniser(latency=1.0),
    recogniser(latency=3.0),
    recogniser(error=EngineError("The ears are gone.")),
    recogniser(hang=True),
    model(),
    model(first_delta=1.0),
    model(delta=0.2),
    model(error=UnavailableError("The model is gone."), fail_after=3),
    model(hang=True),
    voice(),
    voice(latency=1.0),
    voice(pace=0.03),
    voice(error=EngineError("The voice is gone."), fail_after=20),
    voice(error=NotFound("There is no such voice.")),
    voice(hang_after=20),
)
deeds = st.one_of(
    *(st.sampled_from(kind) for kind in (SPEAKING, SPEAKING, SPEAKING, SAYING, TEXTS, TEXTS, BUTTONS, TROUBLES))
)
histories = st.lists(st.tuples(st.sampled_from((0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 3.0)), deeds), min_size=20, max_size=40)


@settings(
    max_examples=HISTORIES,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink half a minute of conversation takes too long
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
@given(histories, st.booleans(), st.sampled_from(("calm", "end", "cancel")))
def test_at_any_interleaving_nothing_hangs_and_nothing_is_lost(
    history: list[tuple[float, Deed]], reports: bool, ending: str
) -> None:
    async def main() -> None:
        async with (
            conversation(
                recognizer=AttentiveRecognizer(),
                language_model=FakeLanguageModel(answer=lambda _: STORY, deadlines=Deadlines(2.0, 2.0, 4.0)),
                synthesizer=FakeSynthesizer(),
                settings=SessionSettings(limits=LIMITS),
                reports=reports,
            ) as talk,
            person_in(talk) as person,
        ):
            for wait, deed in history:
                await asyncio.sleep(wait)
                deed(person)
            if ending == "calm":
                for heal in (quiet, recogniser(), model(), voice()):
                    heal(person)
                person.muted = False
                await asyncio.sleep(CALM)
                person.check_that_nothing_hangs()
            else:
                await asyncio.sleep(0.001)
                talk.engine.end("Enough.") if ending == "end" else talk.task.cancel()
                await asyncio.gather(talk.task, return_exceptions=True)
            person.check_that_nothing_is_lost()
            note(talk)

    run_virtual(main())


def note(talk: Conversation) -> None:
    """Which cells of the table were reached."""
    before = (Participant.SILENT.value, Agent.IDLE.value)
    for entry in talk.logged(Transition):
        reached.add((entry.event, *before))
        before = (entry.participant, entry.agent)


def test_nearly_every_cell_of_the_table_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    if not reached:
        pytest.skip("the histories ran in another process")
    cells = {(event.value, participant.value, agent.value) for event, participant, agent in TABLE}
    with capsys.disabled():
        print(f"\n{len(cells & reached)} of {len(cells)} cells of the floor's table were reached; not these:")
        for cell in sorted(cells - reached):
            print("   ", *cell)
    assert HISTORIES < 1_000 or len(cells & reached) >= 0.95 * len(cells)
