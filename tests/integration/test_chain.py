"""One spoken conversation with real models in every place: Whisper hears, Smart Turn waits for the end of turns,
a language model behind llama.cpp's own server answers, a Piper voice speaks; and Whisper writes down the recording."""

from __future__ import annotations

import re
from difflib import Match, SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from tests.integration.overheard import Asked, overheard
from tests.integration.people import Participant, Running, contiguous, running, talking
from tests.integration.weights import fetched

from parley.bench.piper_speech import PiperSpeaker
from parley.bench.speech import RATE
from parley.bench.stack import free_port
from parley.messages import (
    BargeInDecided,
    PauseAudio,
    ReplyEnded,
    ReplyStarted,
    ResumeAudio,
    TranscriptUpdate,
)
from parley.testing.llama_server import running_llama

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray

pytest.importorskip("xllamacpp", reason="llama.cpp's Python package is not installed")
pytest.importorskip("faster_whisper", reason="the engine of Whisper is not installed")
from faster_whisper import WhisperModel

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SAID = (
    "What is the capital of France?",
    "Please tell me a long story about a dragon.",
    "Okay.",
    "Stop. What is your name?",
)
UNHEARD, UNTOLD = 1, 3
"""Words at the cut that the history may have and the recording not, and the other way round: Whisper completes the word
that was cut, and guesses at those behind it."""
LETTERS = 3
"""Fewer in a row agree by chance."""
MODELS = ("whisper-tiny.en", "en_US-joe-medium", "smart-turn-v3.2", "smollm2-135m")


@pytest.fixture(scope="module")
def models() -> Path:
    return fetched(*MODELS)


@pytest.fixture(scope="module")
def chain(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Running, Asked], None, None]:
    """Everything real, and what the language model was asked."""
    folder = tmp_path_factory.mktemp("chain")
    settings = {
        "store.folder": models,
        "turn.engine": "smart-turn",
        "asr.language": "en",
        "llm.openai.temperature": 0,
        "llm.openai.max_tokens": 90,
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    weights = models / "llm" / "smollm2-135m" / "model.gguf"
    with (
        running_llama(weights, free_port(), folder / "llama.log") as endpoint,
        overheard(endpoint) as (address, asked),
        running(folder, "--llm", f"{address}#smollm2", *words) as parley,
    ):
        yield parley, asked


@pytest.fixture(scope="module")
def speaker(models: Path) -> PiperSpeaker:
    return PiperSpeaker(models / "voice" / "piper" / "en_US-joe-medium")


@pytest.fixture(scope="module")
def listener(models: Path) -> WhisperModel:
    """Whisper's own library, beside Parley's use of it."""
    return WhisperModel(str(models / "ears" / "whisper-tiny.en"), device="cpu", cpu_threads=1)


def recording(participant: Participant, utterance_id: str) -> NDArray[np.float32]:
    """What was heard of an utterance: float32 at 16 kHz."""
    participant.heard(utterance_id)
    number = participant.client.numbers[utterance_id]
    pcm = b"".join(piece.pcm for piece in participant.ears.heard if piece.number == number)
    return soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, RATE, 16_000)


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))


def written_down(listener: WhisperModel, audio: NDArray[np.float32]) -> list[str]:
    segments, _ = listener.transcribe(audio, language="en", temperature=0.0, condition_on_previous_text=False)
    return words_of(" ".join(segment.text for segment in segments))


def blocks(told: list[str], written: list[str]) -> list[Match]:
    """What both have in common, letter by letter: a word that Whisper mishears still sounds alike."""
    matcher = SequenceMatcher(None, " ".join(told), " ".join(written), autojunk=False)
    return [block for block in matcher.get_matching_blocks() if block.size >= LETTERS]


def share(told: list[str], written: list[str]) -> float:
    """How much of what was told stands in the same order in what was written down."""
    return sum(block.size for block in blocks(told, written)) / len(" ".join(told))


def tails(told: list[str], written: list[str]) -> tuple[int, int]:
    """Words that begin in each after the last thing that both have."""
    last = blocks(told, written)[-1]
    rests = " ".join(told)[last.a + last.size :], " ".join(written)[last.b + last.size :]
    return rests[0].count(" "), rests[1].count(" ")


async def test_a_conversation_with_real_models(
    chain: tuple[Running, Asked], speaker: PiperSpeaker, listener: WhisperModel
) -> None:
    parley, asked = chain
    question, wish, nod, other = (speaker.say(text) for text in SAID)
    async with talking(parley) as participant:
        # A question is understood and answered.
        participant.speak(question)
        heard = await participant.next(TranscriptUpdate, final=True)
        assert words_of(heard.text)[-2:] == ["of", "france"]
        answer = await participant.next(ReplyStarted)
        answered = await participant.next(ReplyEnded, 60, utterance_id=answer.utterance_id)
        assert answered.outcome == "finished"

        # A nod over the story pauses it, and it goes on.
        participant.speak(wish)
        story = await participant.next(ReplyStarted)
        await participant.hear(1.5)
        participant.speak(nod)
        await participant.next(PauseAudio, utterance_id=story.utterance_id)
        await participant.next(ResumeAudio, utterance_id=story.utterance_id)
        decided = await participant.next(BargeInDecided, utterance_id=story.utterance_id)
        assert decided.outcome == "backchannel"

        # Another question takes the floor.
        await participant.hear(2.5)
        participant.speak(other)
        await participant.next(PauseAudio, utterance_id=story.utterance_id)
        decided = await participant.next(BargeInDecided, utterance_id=story.utterance_id, outcome="take_floor")
        cut = await participant.next(ReplyEnded, utterance_id=story.utterance_id)
        assert cut.outcome == "interrupted"
        await participant.next(ReplyStarted)

    # Not a sample of the story was lost or heard twice, up to the cut.
    assert contiguous(participant.heard(story.utterance_id))
    # What was recorded is what the history holds: the whole answer, and the story as far as it was heard.
    whole = written_down(listener, recording(participant, answer.utterance_id))
    assert share(words_of(answered.text), whole) >= 0.7, whole
    told, written = words_of(cut.heard_text), written_down(listener, recording(participant, story.utterance_id))
    assert share(told, written) >= 0.7, (told, written)
    unheard, untold = tails(told, written)
    assert unheard <= UNHEARD, (told, written)
    assert untold <= UNTOLD, (told, written)
    # And that is what the language model was told when it was asked the next question.
    assert [message["content"].strip() for message in asked[-1] if message["role"] == "assistant"] == [
        answered.text.strip(),
        cut.heard_text.strip(),
    ]
    assert words_of(asked[-1][-1]["content"])[-2:] == ["your", "name"]
