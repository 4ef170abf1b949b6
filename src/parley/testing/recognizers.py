"""What every recogniser keeps: subclass :class:`RecognizerContract` and give it one.

.. code-block:: python

    class TestMine(RecognizerContract):
        @pytest.fixture
        async def recognizer(self):
            recognizer = MyRecognizer(...)
            yield recognizer
            await recognizer.aclose()
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from parley.audio.frame import AudioFrame
from parley.errors import ParleyError
from parley.testing.bursts import bursts, known_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from parley.interfaces import Recognizer
    from parley.values import Transcript

RATE = 16_000


async def frames(samples: NDArray[np.int16], rate: int = RATE) -> AsyncIterator[AudioFrame]:
    """Samples as 20 ms frames, as fast as they are taken."""
    size = rate // 50
    for number, start in enumerate(range(0, samples.size, size)):
        piece = samples[start : start + size]
        yield AudioFrame(piece.tobytes(), rate, sequence=number, start_sample=start)
        await asyncio.sleep(0)


async def live(samples: NDArray[np.int16], speed: float = 1.0) -> AsyncIterator[AudioFrame]:
    """Samples as 20 ms frames, at ``speed`` times real time."""
    async for frame in frames(samples):
        yield frame
        await asyncio.sleep(0.02 / speed)


async def hear(recognizer: Recognizer, audio: AsyncIterator[AudioFrame], **how: object) -> list[Transcript]:
    """All transcripts of one turn."""
    async with aclosing(recognizer.transcribe(audio, **how)) as transcripts:  # type: ignore[arg-type]
        return [transcript async for transcript in transcripts]


class Speaker:
    """Audio whose pace the test decides: by events, so that nothing depends on how fast the machine is."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue()
        self.said = 0
        """Samples so far."""

    def say(self, samples: NDArray[np.int16], *, speaking: bool = True) -> None:
        """The next of them, in frames of 20 ms; ``speaking``: whether somebody is heard to."""
        for start in range(0, samples.size, RATE // 50):
            piece = samples[start : start + RATE // 50]
            self._frames.put_nowait(AudioFrame(piece.tobytes(), RATE, start_sample=self.said, speaking=speaking))
            self.said += piece.size

    def end(self) -> None:
        """Nothing more comes."""
        self._frames.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[AudioFrame]:
        while (frame := await self._frames.get()) is not None:
            yield frame


class RecognizerContract:
    """Tests for one implementation; ``recognizer`` is the fixture to give."""

    pytestmark = pytest.mark.anyio
    settles = True
    """It says how much its transcripts cover, and answers a pause with one that covers all of it."""
    patience = 60.0
    """Seconds that any one of its answers may take on a busy machine, the reading of its model included."""

    @pytest.fixture
    def speech(self) -> NDArray[np.int16]:
        """Two seconds that a recogniser may take for speech; give real speech where the words matter."""
        rng = np.random.default_rng(5)
        envelope = 1 + np.sin(np.arange(2 * RATE) / RATE * 2 * np.pi * 4)
        return np.asarray(rng.standard_normal(2 * RATE) * 1_500 * envelope, np.int16)

    async def test_the_last_transcript_and_no_other_is_final(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        transcripts = await hear(recognizer, frames(speech))
        assert [transcript.final for transcript in transcripts] == [False] * (len(transcripts) - 1) + [True]

    async def test_stable_text_is_never_revoked(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        transcripts = await hear(recognizer, live(speech, 4))
        for before, after in pairwise(transcripts):
            assert after.text.startswith(before.text[: before.stable])
        assert transcripts[-1].stable == len(transcripts[-1].text)

    async def test_words_lie_in_order_within_the_audio(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        words = (await hear(recognizer, frames(speech)))[-1].words
        places = [place for word in words for place in (word.start, word.end)]
        assert places == sorted(places)
        assert all(0 <= place <= speech.size / RATE + 0.5 for place in places)

    async def test_a_turn_without_audio_ends_with_a_final_transcript(self, recognizer: Recognizer) -> None:
        transcripts = await hear(recognizer, frames(np.zeros(0, np.int16)))
        assert transcripts[-1].final

    async def test_turns_at_the_same_time_do_not_mix(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        alone = (await hear(recognizer, frames(speech)))[-1].text
        silence = np.zeros(RATE, np.int16)
        results = await asyncio.gather(
            hear(recognizer, live(speech, 8)), hear(recognizer, live(silence, 8)), hear(recognizer, live(speech, 8))
        )
        assert results[0][-1].text == results[2][-1].text == alone

    async def test_every_transcript_says_how_far_it_can_be_believed(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        transcripts = await hear(recognizer, live(speech, 4))
        assert all(0.0 <= transcript.confidence <= 1.0 for transcript in transcripts)

    async def test_what_is_covered_was_said_and_only_grows(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        given = 0

        async def counted() -> AsyncIterator[AudioFrame]:
            nonlocal given
            async for frame in live(speech, 4):
                given += frame.samples
                yield frame

        covered = 0.0
        async with aclosing(recognizer.transcribe(counted())) as transcripts:
            async for said in transcripts:
                assert covered <= said.covered <= given / RATE + 1e-6
                covered = said.covered

    async def test_who_falls_silent_is_told_all_that_was_said_before_the_audio_ends(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        if not self.settles:
            pytest.skip("This recogniser does not say how much it covers.")
        speaker = Speaker()
        async with aclosing(recognizer.transcribe(speaker)) as transcripts, asyncio.timeout(self.patience):
            for stretch in (speech, speech[: speech.size // 2]):  # a voice that goes on is heard on
                speaker.say(stretch)
                voice = speaker.said / RATE
                speaker.say(np.zeros(RATE // 5, np.int16), speaking=False)
                said = await anext(transcripts)
                while said.covered < voice - 0.1:
                    assert not said.final
                    said = await anext(transcripts)
                assert said.covered <= speaker.said / RATE
            speaker.say(np.zeros(RATE // 2, np.int16), speaking=False)
            speaker.end()
            (*_, final) = [transcript async for transcript in transcripts]
        assert final.final
        assert final.text.split()[:1] == said.text.split()[:1]
        assert final.covered >= said.covered

    async def test_a_turn_is_heard_the_same_with_and_without_its_pause_told(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        speaker = Speaker()
        speaker.say(speech)
        speaker.say(np.zeros(RATE // 2, np.int16), speaking=False)
        speaker.end()
        told = (await hear(recognizer, aiter(speaker)))[-1]
        untold = (await hear(recognizer, frames(np.concatenate([speech, np.zeros(RATE // 2, np.int16)]))))[-1]
        assert told.text == untold.text

    async def test_leaving_a_turn_does_not_wait_for_what_is_being_decoded(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        assert (await hear(recognizer, frames(speech)))[-1].final  # the model is read
        transcripts = recognizer.transcribe(frames(np.tile(speech, 5)))
        waiting = asyncio.ensure_future(anext(transcripts))
        await asyncio.sleep(0.05)  # something is being decoded by now; if not, there is less to leave
        waiting.cancel()

        async def leave() -> None:
            await asyncio.gather(waiting, return_exceptions=True)
            await transcripts.aclose()

        leaving = asyncio.ensure_future(leave())
        for _ in range(50):  # rounds of the loop, none of which waits for anything
            await asyncio.sleep(0)
        assert leaving.done()

    async def test_a_turn_left_early_frees_its_place(self, recognizer: Recognizer, speech: NDArray[np.int16]) -> None:
        for _ in range(6):
            async with aclosing(recognizer.transcribe(live(np.tile(speech, 20)))) as transcripts:
                waiting = asyncio.ensure_future(anext(transcripts))
                await asyncio.sleep(0.01)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        assert (await hear(recognizer, frames(speech)))[-1].final

    async def test_a_failing_source_fails_its_turn_alone(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        async def broken() -> AsyncIterator[AudioFrame]:
            yield AudioFrame(speech[:320].tobytes(), RATE)
            raise ParleyError("the line is cut")

        with pytest.raises(ParleyError, match="the line is cut"):
            await hear(recognizer, broken())
        assert (await hear(recognizer, frames(speech)))[-1].final

    async def test_closing_twice_is_harmless(self, recognizer: Recognizer) -> None:
        await recognizer.aclose()
        await recognizer.aclose()


class BurstsContract(RecognizerContract):
    """For a recogniser with a tiny model that hears a word in each burst (:mod:`parley.testing.bursts`)."""

    sentence = "turn on the kitchen lights"

    @pytest.fixture
    def speech(self) -> NDArray[np.int16]:
        """As many bursts as the sentence has words."""
        return bursts(len(self.sentence.split()))

    def heard(self, count: int) -> str:
        """What so many bursts are understood as."""
        return " ".join(self.sentence.split()[:count])

    async def test_each_hears_its_own_words(self, recognizer: Recognizer) -> None:
        results = await asyncio.gather(*(hear(recognizer, live(bursts(count), 4)) for count in (2, 5, 3)))
        assert [result[-1].text for result in results] == [self.heard(count) for count in (2, 5, 3)]

    async def test_the_words_of_all_that_is_covered_are_there(
        self, recognizer: Recognizer, speech: NDArray[np.int16]
    ) -> None:
        transcripts = await hear(recognizer, live(speech, 2))
        assert len(transcripts) > 1
        for said in transcripts:
            assert said.text == self.heard(len(said.text.split()))
            assert len(said.text.split()) >= known_within(said.covered)

    async def test_a_pause_brings_out_the_last_word(self, recognizer: Recognizer) -> None:
        speaker = Speaker()
        async with aclosing(recognizer.transcribe(speaker)) as transcripts, asyncio.timeout(self.patience):
            for count in (2, 4):
                speaker.say(bursts(2))
                speaker.say(np.zeros(RATE // 50, np.int16), speaking=False)
                said = await anext(transcripts)
                while said.text != self.heard(count):
                    assert not said.final
                    said = await anext(transcripts)
