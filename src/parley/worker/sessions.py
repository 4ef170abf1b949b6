"""The sessions that are open on a worker: each a voice, and a lease on its model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from parley import clock
from parley.errors import CapacityError, Draining, InvalidRequest, NotFound, PreconditionFailed
from parley.rpc.gen import tts_pb2 as pb
from parley.values import split_lora, with_lora
from parley.worker.lead import Lead
from parley.worker.requests import check_voice

if TYPE_CHECKING:
    from parley.values import Voice, Wording
    from parley.worker.model_manager import Lease, ModelManager
    from parley.worker.stats import WorkerStats
    from parley.worker.utterance import Utterance

_REMEMBERED = 16
"""Ended utterances of a session whose last sequence can still be asked for."""
_EARLY = 16
"""Commands for utterances that have not begun that a session keeps."""


@dataclass(slots=True)
class Session:
    """One StartSession: a voice and the lease on its model."""

    session_id: str
    voice: Voice
    lease: Lease
    used: float
    wording: Wording
    """How its words are said, unless an utterance says otherwise."""
    utterances: dict[str, Utterance] = field(default_factory=dict)
    ended: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """The last sequence of utterances that are over."""
    lead: Lead = field(default_factory=Lead)
    """How far it is ahead of who listens to it."""
    early: dict[str, pb.ControlCommand] = field(default_factory=dict)
    """Commands that overtook their utterance, by its id."""

    def keep_early(self, utterance_id: str, command: pb.ControlCommand) -> None:
        """The command overtook the stream that it is for: obey it when the stream begins."""
        kept = self.early.get(utterance_id)
        if command == pb.CONTROL_COMMAND_RESUME and kept == pb.CONTROL_COMMAND_PAUSE:
            del self.early[utterance_id]
        elif kept != pb.CONTROL_COMMAND_STOP and command != pb.CONTROL_COMMAND_RESUME:
            self.early[utterance_id] = command
            if len(self.early) > _EARLY:
                del self.early[next(iter(self.early))]

    def forget(self, utterance: Utterance) -> bool:
        """The utterance is over: keep only the sequence that it reached. False when it was forgotten before."""
        if self.utterances.pop(utterance.utterance_id, None) is None:
            return False
        self.used = clock.now()
        self.ended[utterance.utterance_id] = utterance.last_sequence
        if len(self.ended) > _REMEMBERED:
            self.ended.popitem(last=False)
        return True


class Sessions:
    """Opened within a limit, found by their id, closed when they are ended or forgotten."""

    def __init__(self, manager: ModelManager, stats: WorkerStats, *, most: int, idle: float) -> None:
        self.draining = False
        self._manager = manager
        self._stats = stats
        self._most = most
        self._idle = idle
        self._open: dict[str, Session] = {}
        self._starting: dict[str, bool] = {}
        """Those that wait for their model; False once they have been ended meanwhile."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))

    async def open(self, session_id: str, voice: Voice, wording: Wording) -> Session:
        """Open one; waits until its model is in memory. One that is open gets the new voice of the same model."""
        self.refuse_when_draining()
        voice = self.named(voice)
        check_voice(self._manager.info(voice.model), voice)
        known = self._open.get(session_id)
        if known is None:
            return await self._start(session_id, voice, wording)
        now, wanted = (with_lora(each.model, each.lora) for each in (known.voice, voice))
        if now != wanted:
            raise PreconditionFailed(
                f"The session {session_id} speaks with {now}; "
                f"a session keeps its model, so open another one for {wanted}."
            )
        known.voice, known.used, known.wording = voice, clock.now(), wording
        return known

    def named(self, voice: Voice) -> Voice:
        """The same with the ids of its model and LoRA, which either of its fields may name. Raises NotFound."""
        base, lora = split_lora(self._manager.resolve(voice.model, voice.language))
        if voice.lora and voice.lora != lora:
            if not self._manager.info(base).supports_lora:
                raise InvalidRequest(f"The model {base} takes no LoRA.")
            base, lora = split_lora(self._manager.resolve(with_lora(base, voice.lora)))
        return replace(voice, model=base, lora=lora)

    async def _start(self, session_id: str, voice: Voice, wording: Wording) -> Session:
        if session_id in self._starting:
            raise PreconditionFailed(f"The session {session_id} is being opened already.")
        if len(self._open) + len(self._starting) >= self._most:
            self._stats.refused += 1
            raise CapacityError(f"The worker has {self._most} sessions open and takes no more.")
        self._starting[session_id] = True
        try:
            lease = await self._manager.acquire(with_lora(voice.model, voice.lora), session_id)
        finally:
            wanted = self._starting.pop(session_id)
        if self.draining or not wanted:
            lease.release()
            self.refuse_when_draining()
            raise PreconditionFailed(f"The session {session_id} was ended before its model was there.")
        session = self._open[session_id] = Session(session_id, voice, lease, clock.now(), wording)
        return session

    def find(self, session_id: str) -> Session:
        """The one with this id. Raises NotFound."""
        session = self._open.get(session_id)
        if session is None:
            raise NotFound(f"There is no session {session_id!r} on this worker; open it with StartSession.")
        session.used = clock.now()
        return session

    def end(self, session_id: str) -> None:
        """Close one. One that is being opened never opens. Raises NotFound."""
        if session_id in self._starting:
            self._starting[session_id] = False
        else:
            self.close(self.find(session_id))

    def close(self, session: Session) -> None:
        """Stop what it speaks, free its lease."""
        del self._open[session.session_id]
        for utterance in list(session.utterances.values()):
            utterance.stop()
        session.lease.release()

    def close_idle(self) -> None:
        """Close those that have not spoken for long: their owner has forgotten them."""
        oldest = clock.now() - self._idle
        for session in self:
            if not session.utterances and session.used < oldest:
                self.close(session)

    @property
    def speaking(self) -> bool:
        """Some utterance is not over."""
        return any(session.utterances for session in self._open.values())

    def refuse_when_draining(self) -> None:
        """Raise Draining once the end has begun."""
        if self.draining:
            raise Draining("The worker is draining and takes nothing new; use another one.")
