"""Plays a case through the real session engine, in virtual time.

Real: the engine, the voice activity detector, a turn model where there is one, and (unless all words are to be
understood) the recogniser.
Mocked: the language model (instant) and the synthesizer (instant, speech made beforehand).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parley.audio import FRAME_SAMPLES, AudioFrame
from parley.audio.resample import microphone_resampler
from parley.bench.speech import Samples, say
from parley.bench.turns.corpus import Case
from parley.bench.turns.room import Room
from parley.bench.turns.score import Outcome
from parley.interfaces import EchoGuard, EndOfTurnModel, InterruptionModel, Recognizer, Synthesis, VoiceActivityDetector
from parley.messages import BargeInDecided, ReplyEnded, ServerMessage, StartSession
from parley.session.engine import SessionEngine
from parley.session.settings import SessionSettings, with_overrides
from parley.testing.frames_synthesis import FramesSynthesis
from parley.testing.virtual_time import VirtualTimeLoop, run_virtual
from parley.values import ChatMessage, Deadlines, Voice, Wording

STORY = (
    "Once there was a keeper who lived in a lighthouse at the edge of the world.",
    "Every night he counted the waves, and every morning he wrote the number into a book.",
    "One winter the sea froze, and there was nothing left to count but the stars.",
    "So he counted those instead, until the ice began to sing under the wind.",
    "When spring came he found that he had filled the book with the names of birds.",
)
ANSWER = ("I heard you, and this is my answer.",)
AFTER = 3.0
"""Seconds that a case goes on after its last sound; echo cases take the whole story."""
ECHO_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class System:
    """What is put to the test."""

    name: str
    vad: Callable[[], VoiceActivityDetector]
    recognizer: Callable[[Case, Room], Recognizer]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Session settings by dotted key."""
    echo: Callable[[], EchoGuard | None] | None = None
    turn_model: EndOfTurnModel | None = None
    interruption: Callable[[], InterruptionModel] | None = None
    loop: Callable[[], asyncio.AbstractEventLoop] = VirtualTimeLoop
    """What time is for it: see ``parley.bench.cpu_time``."""


def play(case: Case, system: System) -> Outcome:
    """One case, from the first sample to the last."""
    return run_virtual(_play(case, system), system.loop)


async def _play(case: Case, system: System) -> Outcome:
    told: list[ServerMessage] = []
    seconds = (1.0 + case.end + AFTER) if case.sounds else ECHO_SECONDS
    room = Room(case, seconds, told.append)
    engine = SessionEngine(
        room,
        # With a headset or a browser there is no echo to cancel; who has one brings no canceller of their own.
        StartSession(sample_rate=room.input_rate, echo_cancelled=case.echo_db is None, language=case.language),
        session_id="case",
        microphone=microphone_resampler(room.input_rate),
        vad=system.vad(),
        recognizer=system.recognizer(case, room),
        language_model=_Teller(),
        synthesizer=_InstantVoice(),
        settings=with_overrides(SessionSettings(), system.overrides),
        echo=system.echo() if system.echo and case.echo_db is not None else None,
        end_of_turn=system.turn_model,
        interruption=system.interruption() if system.interruption else None,
    )
    origin = asyncio.get_running_loop().time()
    await engine.run()
    return _outcome(case, room, told, origin)


def _outcome(case: Case, room: Room, told: Sequence[ServerMessage], origin: float) -> Outcome:
    zero = origin if not case.agent_speaks else (room.first_sound or origin)
    decisions = tuple(message.outcome for message in told if isinstance(message, BargeInDecided))
    if not case.agent_speaks:
        return Outcome(case, answered_at=tuple(at - zero for at, _ in room.starts), decisions=decisions)
    story = room.starts[0][1] if room.starts else ""
    ended = [message for message in told if isinstance(message, ReplyEnded) and message.utterance_id == story]
    # A false alarm before the sound is a pause too, but not an answer to it.
    onset = case.sounds[0].begin if case.sounds else 0.0
    holds = [(low - zero, None if high is None else high - zero) for low, high in room.silences if low - zero >= onset]
    return Outcome(
        case,
        paused_at=holds[0][0] if holds else None,
        resumed_at=next((high for _, high in reversed(holds) if high is not None), None),
        lost=any(message.outcome == "interrupted" for message in ended),
        decisions=decisions,
    )


class _Teller:
    """A language model that tells a story when asked for one, and else answers in one sentence; at once."""

    deadlines = Deadlines()

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[object] = (), options: object = None
    ) -> AsyncGenerator[str, None]:
        asked = history[-1].text if history else ""
        for sentence in STORY if "story" in asked else ANSWER:
            yield f"{sentence} "

    async def aclose(self) -> None:
        pass


class _InstantVoice:
    """A synthesizer whose audio is there at once."""

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        return FramesSynthesis(_frames(text, utterance_id))

    def check(self, voice: Voice) -> None:
        """It has one voice, whatever it is called."""

    async def aclose(self) -> None:
        pass


async def _frames(text: AsyncIterable[str], utterance_id: str) -> AsyncGenerator[AudioFrame, None]:
    sequence = 0
    async for piece in text:
        speech = spoken(piece.strip())
        for start in range(0, len(speech), FRAME_SAMPLES):
            pcm = speech[start : start + FRAME_SAMPLES].tobytes()
            yield AudioFrame(pcm, utterance_id=utterance_id, sequence=sequence, start_sample=sequence * FRAME_SAMPLES)
            sequence += 1
    end = bytes(2 * FRAME_SAMPLES)
    yield AudioFrame(
        end, utterance_id=utterance_id, sequence=sequence, start_sample=sequence * FRAME_SAMPLES, final=True
    )


def spoken(piece: str) -> Samples:
    """Speech for a piece of a reply, with a breath after it, as whole frames."""
    speech = say(piece) if piece else np.zeros(0, np.int16)
    padding = -len(speech) % FRAME_SAMPLES + 10 * FRAME_SAMPLES
    return np.concatenate([speech, np.zeros(padding, np.int16)])
