"""The seams of the house: small Protocols, no base classes. ``parley.values`` has what they carry.

Streams are asynchronous generators. A consumer holds one in ``async with aclosing(...)``;
leaving the block cancels the work behind it. A producer never yields inside a task group
or a timeout (PEP 789). Every seam has a fake and a contract suite in ``parley.testing``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from parley.audio.frame import AudioFrame
from parley.values import (
    ChatMessage,
    Deadlines,
    ModelInfo,
    PlayoutPosition,
    ReplyOptions,
    ReplyPart,
    SpeechScore,
    SynthesizedAudio,
    ToolInfo,
    Transcript,
    Voice,
    Wording,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from parley.messages import ClientMessage, ServerMessage
    from parley.orders import Order


# --- transport -------------------------------------------------------------------------


class Transport(Protocol):
    """One participant's duplex audio and messages. Iteration ends when they leave."""

    kind: str
    """What metrics and the log call it: websocket, webrtc, livekit, memory."""
    input_rate: int
    """Hz of the microphone frames that iteration yields."""

    def __aiter__(self) -> AsyncIterator[AudioFrame | ClientMessage | Order]: ...

    async def send_audio(self, frame: AudioFrame) -> None:
        """Hand over one frame when it is due. Waits, within bounds, while the way out is full.

        The caller paces: a frame is sent at most the playout lead before it is to be heard.
        """

    async def pause_audio(self) -> PlayoutPosition:
        """Silence now, keep what is queued; returns the sample reached as far as is known."""

    async def resume_audio(self) -> None:
        """Go on from the very next sample after the one where the pause fell."""

    async def clear_audio(self) -> PlayoutPosition:
        """Drop what is queued and be silent; returns the last sample heard as far as is known."""

    async def send_message(self, message: ServerMessage) -> None: ...

    async def aclose(self) -> None:
        """Hang up. Safe to call twice."""


# --- ears ------------------------------------------------------------------------------


class VoiceActivityDetector(Protocol):
    """Scores audio. Synchronous: short arithmetic, and nothing can interleave with it."""

    sample_rate: int
    """Hz of the samples that it wants."""

    def score(self, samples: NDArray[np.int16]) -> Sequence[SpeechScore]:
        """Take any number of new samples; return the scores that became due, in order."""

    def set_alert(self, alert: bool) -> None:
        """While alert (the agent speaks), decide on the finest grid, at a higher cost."""


class Recognizer(Protocol):
    """Audio of one turn in (16 kHz mono); partial transcripts, then one final, out.

    The turn ends when the audio ends. Closing the generator early abandons it.
    Frames say whether somebody speaks (``AudioFrame.speaking``). Where that ends, the turn is probably over: a
    recogniser that says how much it ``covered`` owes a transcript of all up to there, at once and unasked, also where
    its words are the same; one that decodes whole recordings does that work now, and not at the end of the audio.
    Raises CapacityError when too many turns are waiting, EngineError when the engine dies.
    A turn is heard the same whatever others said before it, or say meanwhile.
    """

    def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = ""
    ) -> AsyncGenerator[Transcript, None]: ...

    def for_session(self, hot_words: Sequence[str] = ()) -> Recognizer:
        """The same recogniser for one session: what it learns of that microphone helps this session alone.

        ``hot_words`` are names and terms that are likely to be said there, beside those of the settings, the most
        important first; an engine that can not be told of any hears as it would without. Asked of what one session
        has, it is that session's with other words, and what was learnt stays.
        Closing it is left to whoever made the first one.
        """

    async def aclose(self) -> None: ...


class EchoGuard(Protocol):
    """Knows what the loudspeaker plays: takes it out of the microphone, and says how much may be left.

    Synchronous: short arithmetic. ``at`` is the time on ``clock.now()``.
    """

    def played(self, frame: AudioFrame, at: float) -> None:
        """This frame (48 kHz) is on its way out and is heard from ``at`` on, at the earliest."""

    def clean(self, samples: NDArray[np.int16], at: float) -> NDArray[np.int16]:
        """Microphone samples at 16 kHz, the last of which arrived at ``at``; as many come back."""

    def likelihood(self) -> float:
        """How likely (0 to 1) the newest sound in the microphone is the agent's own voice."""


class EndOfTurnModel(Protocol):
    """Judges from the sound of a turn so far whether its speaker has finished.

    Blocking, some ten milliseconds of arithmetic: never called on the event loop.
    """

    def probability(self, samples: NDArray[np.int16]) -> float:
        """How likely (0 to 1) the turn is over; ``samples`` are its audio at 16 kHz, the newest last."""


class InterruptionModel(Protocol):
    """Hears one participant while the agent talks: do they nod, or do they want the floor?

    Synchronous: less than a millisecond for 40 ms of sound. Times are those of ``clock.now()``.
    """

    def begin(self) -> None:
        """A reply begins: what was said before belongs to no other."""

    def end(self) -> None:
        """No reply is to be heard any more, whatever of it was on its way."""

    def played(self, frame: AudioFrame, at: float) -> None:
        """This frame of the reply (48 kHz) is heard from ``at`` on."""

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        """Microphone samples at 16 kHz, the echo taken out, the last of which arrived at ``now``."""

    def wish(self) -> float | None:
        """How likely (0 to 1) what was last said asks for the floor; None while nothing can be said of it."""


# --- words -----------------------------------------------------------------------------


class LanguageModel(Protocol):
    """Conversation in, reply text out, delta by delta.

    ``Thinking`` between the deltas is a sign of life. The session gives a reply up that misses ``deadlines``.
    A reply that asks for ``tools`` ends with the calls, and is asked for again with their results in the history.
    """

    deadlines: Deadlines

    def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[ReplyPart, None]: ...

    async def aclose(self) -> None: ...


class Tools(Protocol):
    """Functions that a language model may ask for; one set of them serves all sessions."""

    def offered(self) -> Sequence[ToolInfo]:
        """Those that there are now; no two of one name."""

    async def call(self, name: str, arguments: Mapping[str, Any], *, key: str) -> str:
        """What the tool says, in words for the model.

        ``key`` is the same whenever the same call is made again. Being cancelled ends one that reads; one that writes
        goes on to its end. Raises ParleyError, whose sentence is told to the model.
        """

    async def aclose(self) -> None: ...


# --- voice -----------------------------------------------------------------------------


class Synthesis(Protocol):
    """One utterance on its way: iterate for its frames, 20 ms each, in order.

    Iteration ends after the final frame. Marks refer to the concatenation of the texts given.
    Raises EngineError / UnavailableError when the voice is lost, RequestError for bad text.
    """

    @property
    def opened(self) -> bool:
        """The voice has text: what happens from now on may be the text's doing."""

    def __aiter__(self) -> AsyncIterator[AudioFrame]: ...

    async def __anext__(self) -> AudioFrame: ...

    async def pause(self) -> int:
        """Hold synthesis; the frames already made stay available. Returns the last sequence made (-1: none)."""

    async def resume(self) -> None:
        """Go on from the next frame; the audio is byte-identical to one that was never held."""

    async def aclose(self) -> None:
        """Stop, free everything. Safe to call twice and while another task iterates."""


class Synthesizer(Protocol):
    """Text in, audio out. gRPC client, routed pool, in-process runner and fake share this shape."""

    def synthesize(
        self,
        text: AsyncIterable[str],
        *,
        voice: Voice,
        session_id: str,
        utterance_id: str,
        wording: Wording = Wording(),
    ) -> Synthesis:
        """Start speaking ``text`` as its pieces (clauses) arrive; the audio is one stream."""

    def check(self, voice: Voice) -> None:
        """Raise NotFound for a voice that is known not to exist, before anybody has to speak with it.

        Judges by what is known at this moment, and at once. Where nothing is known (no worker has been heard of
        yet, or only the engine itself could tell) every voice passes, and its first utterance finds out.
        """

    async def aclose(self) -> None: ...


class TtsAdapter(Protocol):
    """One model as its author writes it: blocking, called from one thread only."""

    info: ModelInfo

    def load(self) -> None:
        """Import the engine, read the weights, warm up. ConfigError names what is missing."""

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak one piece of text, chunk by chunk. ``close()`` cancels between chunks."""

    def unload(self) -> None:
        """Give the memory back."""
