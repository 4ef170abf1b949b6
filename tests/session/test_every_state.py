"""Whatever happens, in every state that can be reached: twenty seconds later nothing hangs and nothing is lost.

Each scene leads the conversation into a state, each blow strikes it there. All limits are a few seconds, so that after
twenty there has been sound, an apology or the end of every wait: the agent must be idle again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from parley.errors import EngineError, UnavailableError
from parley.messages import EndTurn, Interrupt, SayEnd, SetVoice
from parley.session.decide.floor_table import Agent, Participant
from parley.session.settings import LimitSettings, SessionSettings
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from parley.testing.person import Person, person_in
from parley.values import Deadlines, Voice

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience."
LIMITS = LimitSettings(asr_timeout=1.5, asr_late=2.0, tts_timeout=3.0, tts_between=1.5, say_timeout=2.0, max_turn=6.0)
AFTER = 20.0


SILENT, SPEAKING = Participant.SILENT, Participant.SPEAKING
Deed = Callable[[Person], Awaitable[None]]


# --- scenes -------------------------------------------------------------------------------


async def nobody_speaks(_: Person) -> None:
    await asyncio.sleep(0.5)


async def somebody_speaks(person: Person) -> None:
    person.loud = True
    await person.until(SPEAKING, Agent.LISTENING)
    await asyncio.sleep(0.6)


async def somebody_pauses(person: Person) -> None:
    await person.speak(0.9)
    await person.until(SILENT, Agent.LISTENING)


async def the_last_words_are_awaited(person: Person) -> None:
    person.talk.recognizer.latency = 1.0
    await person.speak(0.9)
    await person.until(SILENT, Agent.THINKING)


async def a_spoken_question_is_thought_about(person: Person) -> None:
    person.talk.language_model.first_delta = 1.0
    await person.speak(0.9)
    await person.until(SILENT, Agent.THINKING)
    await asyncio.sleep(0.1)


async def a_typed_question_is_thought_about(person: Person) -> None:
    person.talk.language_model.first_delta = 1.0
    person.type("what is your name")
    await person.until(SILENT, Agent.THINKING)


async def outside_text_is_about_to_sound(person: Person) -> None:
    person.talk.synthesizer.latency = 1.0
    person.give("Your table is ready.")
    await person.until(SILENT, Agent.THINKING)


async def outside_text_has_no_end_yet(person: Person) -> None:
    person.give("Your table is ready. Please", ended=False)
    await person.until(SILENT, Agent.SPEAKING)
    await asyncio.sleep(0.5)


async def something_was_typed_in_mid_speech(person: Person) -> None:
    await somebody_speaks(person)
    person.talk.language_model.first_delta = 1.0
    person.type("never mind")
    await person.until(SPEAKING, Agent.THINKING)


async def a_sound_is_judged_before_the_first_one(person: Person) -> None:
    await a_typed_question_is_thought_about(person)
    person.loud = True
    await person.until(SPEAKING, Agent.BARGED_IN)


async def the_agent_speaks(person: Person) -> None:
    person.type("tell me a story")
    await person.until(SILENT, Agent.SPEAKING)
    await asyncio.sleep(1.0)


async def the_agent_ends(person: Person) -> None:
    person.type("tell me a story")
    await person.until(SILENT, Agent.SPEAKING)
    await asyncio.sleep(len(STORY) * 0.06 - 0.1)


async def the_agent_is_interrupted(person: Person) -> None:
    await the_agent_speaks(person)
    person.loud = True
    await person.until(SPEAKING, Agent.BARGED_IN)
    await asyncio.sleep(0.2)


async def a_nod_is_judged(person: Person) -> None:
    await the_agent_speaks(person)
    await person.speak(0.2)
    await person.until(SILENT, Agent.BARGED_IN)


async def somebody_speaks_and_nobody_listens(person: Person) -> None:
    person.talk.recognizer.turns = [[]]
    person.loud = True
    await person.until(SPEAKING, Agent.LISTENING)
    person.talk.say(EndTurn())
    await person.until(SPEAKING, Agent.IDLE)


SCENES: tuple[Deed, ...] = (
    nobody_speaks,
    somebody_speaks,
    somebody_pauses,
    the_last_words_are_awaited,
    a_spoken_question_is_thought_about,
    a_typed_question_is_thought_about,
    outside_text_is_about_to_sound,
    outside_text_has_no_end_yet,
    something_was_typed_in_mid_speech,
    a_sound_is_judged_before_the_first_one,
    the_agent_speaks,
    the_agent_ends,
    the_agent_is_interrupted,
    a_nod_is_judged,
    somebody_speaks_and_nobody_listens,
)


# --- blows --------------------------------------------------------------------------------


async def silence(person: Person) -> None:
    person.loud = False


async def a_cough(person: Person) -> None:
    person.loud = False
    await asyncio.sleep(0.1)
    await person.speak(0.2)


async def a_question(person: Person) -> None:
    await person.speak(1.5)


async def mumbling(person: Person) -> None:
    person.talk.recognizer.turns = [[]] * 20
    await person.speak(1.5)


async def two_questions(person: Person) -> None:
    await person.speak(1.0)
    await asyncio.sleep(0.8)
    await person.speak(1.0)


async def a_typed_question(person: Person) -> None:
    person.type("are you there")
    person.loud = False


async def outside_text(person: Person) -> None:
    person.give("Your taxi is here.")
    person.loud = False


async def outside_text_that_never_ends(person: Person) -> None:
    person.give("Your taxi is here. And", ended=False)
    person.loud = False


async def a_stray_end(person: Person) -> None:
    person.talk.say(SayEnd())
    person.loud = False


async def the_stop_button(person: Person) -> None:
    person.talk.say(Interrupt())
    person.loud = False


async def the_talk_button(person: Person) -> None:
    person.talk.say(EndTurn())
    person.loud = False


async def both_buttons_at_once(person: Person) -> None:
    person.talk.say(Interrupt())
    person.talk.say(EndTurn())
    person.loud = False


async def another_voice(person: Person) -> None:
    person.talk.say(SetVoice(Voice("other")))
    person.loud = False


async def a_microphone_that_dies(person: Person) -> None:
    person.muted = True


async def a_dying_recogniser(person: Person) -> None:
    person.talk.recognizer.error = EngineError("The ears are gone.")
    await person.speak(1.0)


async def a_recogniser_that_hangs(person: Person) -> None:
    person.talk.recognizer.hang = True
    await person.speak(1.0)


async def a_dying_voice(person: Person) -> None:
    person.talk.synthesizer.error = EngineError("The voice is gone.")
    person.loud = False
    await asyncio.sleep(1.0)
    person.type("are you there")


async def a_voice_that_hangs(person: Person) -> None:
    person.talk.synthesizer.hang_after = 0
    person.loud = False
    await asyncio.sleep(1.0)
    person.type("are you there")


async def a_dying_language_model(person: Person) -> None:
    person.talk.language_model.error = UnavailableError("The model is gone.")
    person.loud = False
    await asyncio.sleep(1.0)
    person.type("are you there")


async def a_language_model_that_hangs(person: Person) -> None:
    person.talk.language_model.hang = True
    person.loud = False
    await asyncio.sleep(1.0)
    person.type("are you there")


BLOWS: tuple[Deed, ...] = (
    silence,
    a_cough,
    a_question,
    mumbling,
    two_questions,
    a_typed_question,
    outside_text,
    outside_text_that_never_ends,
    a_stray_end,
    the_stop_button,
    the_talk_button,
    both_buttons_at_once,
    another_voice,
    a_microphone_that_dies,
    a_dying_recogniser,
    a_recogniser_that_hangs,
    a_dying_voice,
    a_voice_that_hangs,
    a_dying_language_model,
    a_language_model_that_hangs,
)


# --- the examination ------------------------------------------------------------------------


@pytest.mark.parametrize("blow", BLOWS, ids=lambda deed: deed.__name__)
@pytest.mark.parametrize("scene", SCENES, ids=lambda deed: deed.__name__)
async def test_nothing_hangs_and_nothing_is_lost(scene: Deed, blow: Deed) -> None:
    recognizer = FakeRecognizer(turns=[[(0.5, f"tell me {n}"), (0.9, f"tell me story {n}")] for n in range(20)])
    async with (
        conversation(
            recognizer=recognizer,
            language_model=FakeLanguageModel(answer=lambda _: STORY, deadlines=Deadlines(3.0, 3.0, 6.0)),
            synthesizer=FakeSynthesizer(),
            settings=SessionSettings(limits=LIMITS),
        ) as talk,
        person_in(talk) as person,
    ):
        await scene(person)
        await blow(person)
        await asyncio.sleep(AFTER)
        person.check_that_nothing_hangs()
        person.check_that_nothing_is_lost()
