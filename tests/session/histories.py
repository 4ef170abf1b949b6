"""A session that lives through anything: its engines, client and line go wrong in every way, as bytes say.

Coarse on purpose, so that a thousand histories take seconds: pieces of 100 ms of microphone, 200 ms of voice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from parley import clock
from parley.audio.frame import SAMPLE_RATE, AudioFrame, WordMark
from parley.errors import CapacityError, EngineError, NotFound, ParleyError, SessionFailed
from parley.interfaces import Tools
from parley.messages import (
    ClientMessage,
    EndSession,
    EndTurn,
    ErrorMessage,
    Interrupt,
    PlayoutReport,
    ReplyEnded,
    ReplyStarted,
    SayDelta,
    SayEnd,
    SetVoice,
    StartSession,
    TextInput,
)
from parley.session.decide.floor_table import Agent, Participant
from parley.session.decide.reply_life import ReplyState
from parley.session.engine import SessionEngine
from parley.session.settings import BargeInSettings, LimitSettings, PlayoutSettings, SessionSettings
from parley.testing.conversation import Recorder
from parley.testing.fakes import ALOUD, PassThroughMicrophone, fake_marks
from parley.transports.memory import MemoryTransport
from parley.values import (
    ChangeVoice,
    ChatMessage,
    Deadlines,
    NothingToSay,
    ReplyPart,
    SpeechScore,
    Thinking,
    ToolInfo,
    Transcript,
    Voice,
)

LIMITS = LimitSettings(
    asr_timeout=1.5,
    asr_late=2.0,
    tts_timeout=2.0,
    tts_between=1.5,
    say_timeout=2.0,
    stall_timeout=2.0,
    max_turn=6.0,
)
SETTINGS = SessionSettings(
    limits=LIMITS,
    barge_in=BargeInSettings(usual_level_dbfs=-12.0),
    playout=PlayoutSettings(lead=0.3),  # so that something can happen between the last frame and its end
)
QUIET = 0.12
"""Loudness of somebody in the next room."""
LONGEST_WAIT = 10.0
"""Seconds: no state but idle lasts longer without a sound or a word, whatever hangs."""
SHORTEST_LIFE = 30.0
AFTERWARDS = 40.0
"""Seconds after which every wait of a history has ended, one after the other at the worst."""
RECOVERY = 10.0
"""Seconds within which a question is answered once everything is well again."""
MICROPHONE_STEP, QUIET_STEP = 0.1, 0.4
VOICE_STEP = 0.2
_STEP_SAMPLES = round(VOICE_STEP * SAMPLE_RATE)
_SOUND = bytes(2 * _STEP_SAMPLES)


def hang() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


# --- engines ------------------------------------------------------------------------------


class CoarseVad:
    """One score for each piece, by its loudness."""

    sample_rate = 16_000

    def score(self, samples: NDArray[np.int16]) -> Sequence[SpeechScore]:
        return [SpeechScore(min(1.0, 4 * float(samples[0]) / ALOUD), samples.size)] if samples.size else []

    def set_alert(self, alert: bool) -> None:
        pass


@dataclass
class Ears:
    """Hears a word every 400 ms, unless its ``mood`` says otherwise."""

    mood: str = "well"
    words: tuple[str, ...] = ("tell", "me", "a", "story", "please", "again")
    latency: float = 0.05

    async def transcribe(
        self, audio: AsyncIterable[AudioFrame], *, language: str = "", **_: object
    ) -> AsyncGenerator[Transcript, None]:
        mood, words, heard, known, text = self.mood, self.words, 0.0, 0, ""
        if mood == "full":
            raise CapacityError("Too many turns are waiting.")
        async for frame in audio:
            heard += frame.duration
            count = min(len(words), int(heard / 0.4))
            if count > known and mood not in ("deaf", "only at the end"):
                known, text = count, " ".join(words[:count])
                yield Transcript(text)
                if mood == "dies in the middle":
                    raise EngineError("The ears died.")
        if mood == "hangs":
            await hang()
        await asyncio.sleep(self.latency)
        if mood == "dies":
            raise EngineError("The ears died.")
        if mood == "breaks":
            raise ZeroDivisionError("a bug in the ears")
        if mood == "no final":
            return
        if mood == "only at the end":
            text = " ".join(words[: max(1, int(heard / 0.4))])
        yield Transcript(text, final=True)

    async def aclose(self) -> None:
        pass


@dataclass
class Mind:
    """Answers in a sentence or two."""

    mood: str = "well"
    deadlines: Deadlines = field(default_factory=lambda: Deadlines(2.0, 2.0, 4.0))

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo] = ()
    ) -> AsyncGenerator[ReplyPart, None]:
        mood = self.mood
        if mood == "slow":
            await asyncio.sleep(1.5)
        if mood == "hangs":
            await hang()
        if mood == "dies":
            raise EngineError("The model died.")
        if mood == "blank":
            yield " \n"
            return
        if mood == "has no words":
            yield ("...", "😀 👍", "```\nx = 1\n```")[len(history) % 3]
            return
        if mood == "has nothing to say":
            yield NothingToSay()
            return
        for _ in range(3 if mood == "ponders" else 12 if mood == "ponders for ever" else 0):
            await asyncio.sleep(0.5)
            yield Thinking()
        if mood == "changes the voice":
            yield ChangeVoice(Voice("other"))
        for number, word in enumerate(("Once ", "upon ", "a ", "time. ", "There ", "was ", "a ", "king.")):
            if number == 5 and mood == "dies in the middle":
                raise ZeroDivisionError("a bug in the model")
            if number == 5 and mood == "hangs in the middle":
                await hang()
            if number == 5 and mood == "dies in code":
                yield "\n```\nx = 1\n"
                raise EngineError("The model died.")
            if mood == "drips":
                await asyncio.sleep(0.4)
            yield word

    async def aclose(self) -> None:
        pass


@dataclass
class Throat:
    """A synthesizer that speaks a character in 60 ms."""

    mood: str = "well"

    def check(self, voice: Voice) -> None:
        if voice.model == "nobody":
            raise NotFound("There is no such voice.")

    def synthesize(self, text: AsyncIterable[str], *, utterance_id: str, **what: object) -> Speaking:
        return Speaking(text, self.mood, utterance_id)

    async def aclose(self) -> None:
        pass


class Speaking:
    """One utterance."""

    def __init__(self, text: AsyncIterable[str], mood: str, utterance_id: str) -> None:
        self._utterance = utterance_id
        self._mood = mood
        self._going = asyncio.Event()
        self._going.set()
        self._made = 0
        self._frames = self._speak(text)

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self

    async def __anext__(self) -> AudioFrame:
        return await anext(self._frames)

    async def pause(self) -> int:
        if self._mood == "does not pause":
            await hang()
        self._going.clear()
        return self._made - 1

    async def resume(self) -> None:
        self._going.set()

    async def aclose(self) -> None:
        pass

    async def _speak(self, pieces: AsyncIterable[str]) -> AsyncGenerator[AudioFrame, None]:
        mood, characters = self._mood, 0
        if mood == "refuses":
            raise NotFound("This voice is gone.")
        if mood == "is slow":
            await asyncio.sleep(1.0)
        async for piece in pieces:
            if mood == "makes nothing":
                continue
            marks = tuple(
                WordMark(
                    characters + mark.text_start,
                    characters + mark.text_end,
                    self._made * _STEP_SAMPLES + mark.start_sample,
                    self._made * _STEP_SAMPLES + mark.end_sample,
                )
                for mark in fake_marks(piece)
            )
            characters += len(piece)
            for _ in range(max(1, round(len(piece) * 0.06 / VOICE_STEP))):
                await self._trouble()
                yield self._frame(marks)
                marks = ()
            if mood == "ends early":
                return
        if mood != "makes nothing":
            yield self._frame((), final=True)

    async def _trouble(self) -> None:
        mood = self._mood
        middle = self._made >= 3
        if mood == "dies slowly":
            await asyncio.sleep(0.7)
            if middle:
                raise EngineError("The voice died.")
        if mood == "never begins":
            await asyncio.sleep(0.9)
            raise EngineError("The voice died.")
        if mood == "dies" or (middle and mood == "dies in the middle"):
            raise EngineError("The voice died.")
        if mood == "hangs" or (middle and mood == "hangs in the middle"):
            await hang()
        if mood == "stutters":
            await asyncio.sleep(0.5)
        await self._going.wait()

    def _frame(self, marks: tuple[WordMark, ...], *, final: bool = False) -> AudioFrame:
        number, self._made = self._made, self._made + 1
        return AudioFrame(_SOUND, SAMPLE_RATE, self._utterance, number, number * _STEP_SAMPLES, marks, final)


@lru_cache(maxsize=256)
def pcm(seconds: float, loudness: float) -> bytes:
    return np.full(round(seconds * 16_000), round(loudness * ALOUD), "<i2").tobytes()


# --- the life -----------------------------------------------------------------------------


@dataclass
class Visit:
    """One connection of the participant."""

    transport: MemoryTransport
    engine: SessionEngine
    log: Recorder
    task: asyncio.Task[None]
    opened_at: float = field(default_factory=clock.now)

    @property
    def over(self) -> bool:
        return self.task.done()


class Life:
    """A participant who comes, talks, leaves and comes back; ``troubles`` says what must never be."""

    tools: Tools | None = None
    settings = SETTINGS

    def __init__(self, reports: bool, delay: float) -> None:
        self.ears, self.mind, self.throat = Ears(), self.make_mind(), Throat()
        self.visits: list[Visit] = []
        self.troubles: list[str] = []
        self.typed: list[str] = []
        self._reports, self._delay = reports, delay
        self._loud_until, self._loudness = 0.0, 0.0
        self.at_the_end: Callable[[], None] | None = None
        """To be done when a reply is in its last moments."""
        self._muted_until = 0.0
        self._taking_at = 0.0
        self._sign: object = None
        self._signed_at = 0.0
        self._asked: tuple[Visit, int, float] | None = None
        """The last question that was typed: where, what had been told by then, and when."""
        self.come()

    def make_mind(self) -> Mind:
        return Mind()

    @property
    def now(self) -> Visit:
        if self.visits[-1].over:
            self.come()
        return self.visits[-1]

    def come(self) -> None:
        """Begin a session, with the history of the one before."""
        history = self.visits[-1].engine.history if self.visits else None
        transport = MemoryTransport(reports=self._reports, delay=self._delay)
        log = Recorder()
        engine = SessionEngine(
            transport,
            StartSession(playout_reports=self._reports),
            session_id=f"s{len(self.visits)}",
            microphone=PassThroughMicrophone(),
            vad=CoarseVad(),
            recognizer=self.ears,
            language_model=self.mind,
            synthesizer=self.throat,
            settings=self.settings,
            tools=self.tools,
            history=history,
            observer=log,
        )
        self.visits.append(Visit(transport, engine, log, asyncio.create_task(engine.run())))

    async def leave(self) -> None:
        """Hang up; the session must end at once and well."""
        visit = self.visits[-1]
        await visit.transport.participant.hang_up()
        try:
            async with asyncio.timeout(2.0):
                await asyncio.shield(visit.task)
        except TimeoutError:
            self.troubles.append("a session does not end")
        except SessionFailed as error:
            raise error.__cause__ or error from None
        except ParleyError:
            pass

    async def close(self) -> None:
        """Close what all visits share."""

    # --- what the participant does -----------------------------------------------------------

    def send(self, message: ClientMessage) -> None:
        if not isinstance(message, PlayoutReport | TextInput):
            self._asked = None  # whoever does something meanwhile may be answered otherwise
        try:
            self.now.transport.participant.put(message)
        except CapacityError:  # the session is stuck behind a client that takes nothing
            assert not self.visits[-1].transport.participant.taking.is_set()

    async def type(self, text: str) -> None:
        told = len(self.now.transport.participant.messages)
        self.send(TextInput(text))
        for _ in range(5):
            await asyncio.sleep(0)
        visit = self.visits[-1]
        if not visit.over and visit.engine._floor.agent is not Agent.TERMINATED:  # who has said goodbye says no more
            self.typed.append(text)
            # Sound that goes on may take the floor, of which nothing may be understood twice.
            in_peace = clock.now() > self._loud_until and visit.engine._floor.participant is Participant.SILENT
            self._asked = (visit, told, clock.now()) if in_peace and text != "stop" else None

    def sound(self, seconds: float, loudness: float) -> None:
        self._loud_until, self._loudness = clock.now() + seconds, loudness
        self._asked = None

    def mute(self, seconds: float) -> None:
        self._muted_until = clock.now() + seconds

    def stop_taking(self, seconds: float) -> None:
        self._taking_at = clock.now() + seconds
        self.now.transport.participant.taking.clear()

    async def microphone(self) -> None:
        """Pieces of sound or silence, larger ones when it has been silent for a while; and a look at what hangs."""
        while True:
            quiet = clock.now() - self._loud_until
            step = MICROPHONE_STEP if quiet < 1 else QUIET_STEP
            await asyncio.sleep(step)
            visit, now = self.visits[-1], clock.now()
            if now >= self._taking_at:
                visit.transport.participant.taking.set()
            if now >= self._muted_until:
                await visit.transport.participant.speak(pcm(step, self._loudness if now <= self._loud_until else 0.0))
            self._look(visit, now)
            self._look_for_an_answer(visit, now)
            reply = visit.engine._replies.current
            if self.at_the_end is not None and reply is not None and reply.life.state is ReplyState.ENDING:
                deed, self.at_the_end = self.at_the_end, None
                deed()

    def _look(self, visit: Visit, now: float) -> None:
        """In every state there is sound, a word, or a cause with a deadline."""
        participant = visit.transport.participant
        sign = (visit, len(participant.messages), len(participant.frames))
        agent = visit.engine._floor.agent
        if sign != self._sign or agent in (Agent.IDLE, Agent.TERMINATED) or now <= self._loud_until:
            self._sign, self._signed_at = sign, now
        elif now - self._signed_at > LONGEST_WAIT:
            self.troubles.append(f"nothing for {LONGEST_WAIT:g} s while the agent is {agent.value}")
            self._signed_at = now

    def _look_for_an_answer(self, visit: Visit, now: float) -> None:
        """A question that nobody took back is answered, or it is said why not; silence is no answer."""
        if self._asked is None:
            return
        where, told, when = self._asked
        if not visit.transport.participant.taking.is_set():
            self._asked = (where, told, now)  # what is told now comes later
            return
        if where is not visit or visit.over or self.mind.mood == "has nothing to say":
            self._asked = None
        elif visit.engine._floor.agent is Agent.IDLE and now - when > 1.0:
            news = visit.transport.participant.messages[told:]
            if not any(isinstance(message, ReplyStarted | ErrorMessage) for message in news):
                self.troubles.append("a typed question has ended in silence")
            self._asked = None

    # --- afterwards ----------------------------------------------------------------------------

    async def settle(self) -> None:
        """Let everything that has been begun come to its end."""
        quiet_since, end = clock.now(), clock.now() + AFTERWARDS
        while clock.now() < end and clock.now() - quiet_since < 5.0:
            await asyncio.sleep(0.5)
            agent = self.visits[-1].engine._floor.agent
            if agent not in (Agent.IDLE, Agent.TERMINATED) or clock.now() <= self._loud_until:
                quiet_since = clock.now()

    def examine(self) -> None:
        """What must hold when everything has had its time."""
        last = self.visits[-1]
        if not last.over:
            agent, participant = last.engine._floor.agent, last.engine._floor.participant
            if agent is not Agent.IDLE:
                self.troubles.append(f"the agent is {agent.value} for ever")
            if participant is not Participant.SILENT:
                self.troubles.append("the participant speaks for ever")
        said = " ".join(message.text for message in last.engine.history.messages() if message.role == "user")
        self.troubles += [f"{text!r} is not in the history" for text in self.typed if text not in said]
        for visit in self.visits:
            self._examine_sound(visit)

    async def recover(self) -> None:
        """Whatever it has been through: when all is well again, it hears, thinks and speaks."""
        self.mind.mood = self.throat.mood = self.ears.mood = "well"
        self.ears.words, self.ears.latency = ("are", "you", "well"), 0.05
        self._muted_until = self._taking_at = 0.0
        self.send(SetVoice(Voice()))
        await self.type("are you there")
        await self._answered("typed")
        self.sound(1.5, 1.0)
        await self._answered("spoken")

    async def _answered(self, how: str) -> None:
        participant = self.now.transport.participant
        known = len(participant.messages)
        try:
            async with asyncio.timeout(RECOVERY):
                while not any(isinstance(new, ReplyEnded) for new in participant.messages[known:]):
                    participant.arrived.clear()
                    await participant.arrived.wait()
        except TimeoutError:
            self.troubles.append(f"a {how} question is not answered when all is well again")

    def _examine_sound(self, visit: Visit) -> None:
        heard: dict[str, int] = {}
        for utterance, start, end in visit.transport.participant.heard():
            if start != heard.get(utterance, 0):
                self.troubles.append(f"samples of {utterance} were lost or repeated")
            heard[utterance] = end
        ended = [message for message in visit.transport.participant.messages if isinstance(message, ReplyEnded)]
        if len({message.utterance_id for message in ended}) != len(ended):
            self.troubles.append("a reply ended twice")


# --- events -------------------------------------------------------------------------------

Deed = Callable[[Life, int], object]


def _speak(life: Life, size: int) -> None:
    life.ears.words = (
        ("tell", "me", "a", "story", "please", "again"),
        ("stop", "it", "now"),
        ("yes", "yes", "yes"),
        ("what",),
    )[size % 4]
    life.sound(0.3 + size / 255 * 2.5, 1.0)


def _nod(life: Life, size: int) -> None:
    life.ears.words = ("mhm",)
    life.sound(0.15 + size / 255 * 0.3, 1.0)


def _mood(who: str, *moods: str) -> Deed:
    return lambda life, size: setattr(getattr(life, who), "mood", moods[size % len(moods)])


def _say(life: Life, size: int) -> None:
    life.send(SayDelta(("Your taxi is here. ", "Your taxi ", "is here. And ")[size % 3]))
    if size > 100:
        life.send(SayEnd())


def _report(life: Life, size: int) -> None:
    life.send(PlayoutReport(f"u{size % 7}", (0, 5_000, 10**12)[size % 3], stopped=size % 2 == 0))


async def _type(life: Life, size: int) -> None:
    await life.type(("tell me more", "stop", "who are you", "a" * 300)[size % 4])


async def _come_back(life: Life, _: int) -> None:
    await life.leave()
    life.come()


def _late(life: Life, size: int) -> None:
    life.ears.latency = (0.05, 0.05, 0.4, 1.2, 2.5, 3.4)[size % 6]


async def _mumble_on(life: Life, size: int) -> None:
    """Push-to-talk released in mid-speech, of which nothing is understood."""
    life.ears.mood = "deaf"
    life.sound(1.5 + size / 255 * 3, 1.0)
    await asyncio.sleep(0.5)
    life.send(EndTurn())


async def _grow_loud(life: Life, size: int) -> None:
    life.sound(2.0, QUIET)
    await asyncio.sleep(0.8)
    life.sound(size / 255, 1.0)


async def _think_and_cough(life: Life, size: int) -> None:
    """A sound before the first one of the reply to a typed question."""
    life.mind.mood, life.throat.mood = "slow", ("well", "never begins", "dies slowly", "is slow")[size % 4]
    await life.type("who are you")
    await asyncio.sleep(1.0 + size / 255)
    life.sound(0.1 + size % 5 * 0.3, 1.0)


def _touch_the_end(life: Life, size: int) -> None:
    def touch() -> None:
        life.sound(0.1 + size % 2 * 0.2, 1.0)
        if size % 3:
            life.stop_taking(0.3 + size / 255 * 1.2)
        if size % 4 == 1:
            asyncio.get_running_loop().call_later(0.5, lambda: life.sound(0.3, 1.0))
        elif size % 4 == 2:
            asyncio.get_running_loop().call_later(0.5, lambda: life.send(Interrupt()))

    life.at_the_end = touch


DEEDS: tuple[tuple[int, Deed], ...] = (
    (9, _speak),
    (5, _nod),
    (3, lambda life, size: life.sound(0.06 + size / 255 * 0.12, 1.0)),  # a cough
    (3, lambda life, size: life.sound(0.2 + size / 255 * 2, QUIET)),
    (2, _grow_loud),
    (2, _mumble_on),
    (3, _think_and_cough),
    (4, _touch_the_end),
    (2, lambda life, size: life.mute(size / 255 * 5)),
    (8, _type),
    (5, _say),
    (2, lambda life, _: life.send(SayEnd())),
    (3, lambda life, _: life.send(Interrupt())),
    (3, lambda life, _: life.send(EndTurn())),
    (2, lambda life, size: life.send(SetVoice(Voice(("other", "nobody", "")[size % 3])))),
    (3, _report),
    (2, _mood("ears", "well", "hangs", "dies", "deaf", "no final", "breaks", "full", "dies in the middle",
              "only at the end")),
    (4, _mood("ears", "well")),
    (2, _late),
    (2, _mood("mind", "well", "slow", "hangs", "dies", "blank", "changes the voice", "has nothing to say",
              "ponders", "ponders for ever", "dies in the middle",
              "hangs in the middle", "drips", "has no words", "dies in code")),
    (4, _mood("mind", "well", "drips", "slow")),
    (3, _mood("throat", "well", "dies", "dies in the middle", "dies slowly", "never begins", "hangs",
              "hangs in the middle", "makes nothing", "ends early", "refuses", "is slow", "stutters",
              "does not pause")),
    (4, _mood("throat", "well")),
    (2, lambda life, size: life.stop_taking(size / 255 * 1.5)),
    (1, lambda life, size: life.stop_taking(size / 255 * 5)),
    (2, _come_back),
    (2, lambda life, _: life.send(EndSession())),
)  # fmt: skip
_WEIGHTED: Sequence[Deed] = [deed for weight, deed in DEEDS for _ in range(weight)]
EVENT_BYTES = 3
FEWEST, MOST = 20, 40
"""Events of a history."""


async def live(history: bytes, make: type[Life] = Life, deeds: Sequence[Deed] = _WEIGHTED) -> list[str]:
    """Live through a history, three bytes an event: how long after the one before, what, and how much of it."""
    life = make(reports=bool(history[0] & 1), delay=0.08 if history[0] & 2 else 0.0)
    talking = asyncio.create_task(life.microphone())
    try:
        for start in range(0, len(history) - EVENT_BYTES + 1, EVENT_BYTES):
            gap, what, size = history[start : start + EVENT_BYTES]
            await asyncio.sleep((gap / 255) ** 2 * 4)
            done = deeds[what % len(deeds)](life, size)
            if asyncio.iscoroutine(done):
                await done
        await asyncio.sleep(max(0.0, SHORTEST_LIFE - clock.now()))
        await life.settle()
        life.examine()
        await life.recover()
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    await life.leave()
    for visit in life.visits:
        error = visit.task.exception()
        if isinstance(error, SessionFailed):
            raise error.__cause__ or error
    await life.close()
    _nothing_is_left(life)
    return life.troubles


def _nothing_is_left(life: Life) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
    assert not left, f"tasks are left: {left}"
    timers = [handle for visit in life.visits for handle in visit.engine._timers._handles]
    assert not timers, f"timers are left: {timers}"
