"""A voice that nobody has is refused when it is asked for; the old one goes on, and nothing to be said is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from parley.errors import NotFound
from parley.messages import ErrorMessage, ReplyEnded, SayDelta, SayEnd, SetVoice, StartSession, TextInput, VoiceChanged
from parley.testing.conversation import conversation
from parley.testing.fakes import FakeSynthesizer
from parley.values import ChangeVoice, ChatMessage, Deadlines, Voice

pytestmark = pytest.mark.anyio

GONE = frozenset({"gone"})


async def test_set_voice_with_a_voice_that_nobody_has_is_refused_at_once() -> None:
    async with conversation(synthesizer=FakeSynthesizer(missing=GONE)) as talk:
        talk.say(SetVoice(Voice("gone")))
        await talk.until(0.01)
        assert [error.code for error in talk.of(ErrorMessage)] == ["not_found"]
        assert not talk.of(VoiceChanged)


async def test_after_a_refused_voice_the_old_one_says_what_was_to_be_said() -> None:
    voices = FakeSynthesizer(missing=GONE)
    async with conversation(synthesizer=voices) as talk:
        talk.say(SetVoice(Voice("fine")))
        talk.say(SetVoice(Voice("gone")))
        talk.say(SayDelta("Nothing of this is lost."))
        talk.say(SayEnd())
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "Nothing of this is lost."
        assert voices.spoken[0].voice == Voice("fine")


async def test_a_session_that_starts_with_a_voice_that_nobody_has_is_refused() -> None:
    with pytest.raises(NotFound):
        async with conversation(synthesizer=FakeSynthesizer(missing=GONE), start=StartSession(voice=Voice("gone"))):
            pass


class Switching:
    """A language model that orders a voice in the middle of its reply."""

    deadlines = Deadlines()

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[object] = ()
    ) -> AsyncGenerator[str | ChangeVoice, None]:
        yield "Before. "
        yield ChangeVoice(Voice("gone"))
        yield "And after."

    async def aclose(self) -> None: ...


async def test_a_voice_that_the_language_model_made_up_costs_none_of_its_words() -> None:
    async with conversation(synthesizer=FakeSynthesizer(missing=GONE), language_model=Switching()) as talk:
        talk.say(TextInput("hello"))
        await talk.heard_out()
        assert talk.of(ReplyEnded)[0].heard_text == "Before. And after."
        assert [error.code for error in talk.of(ErrorMessage)] == ["not_found"]
