"""``parley.tts.v1`` as a service: sessions, utterances, control.

State belongs to sessions and utterances, never to a model. Every method raises errors of
``parley.errors``; ``server`` turns them into status codes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from parley import __version__, clock
from parley.audio.frame import AudioFrame
from parley.errors import (
    CapacityError,
    Draining,
    InvalidRequest,
    NotFound,
    ParleyError,
    PreconditionFailed,
    TimedOut,
)  # fmt: skip
from parley.rpc.convert import (
    capabilities_to_proto,
    frames_to_proto,
    model_to_proto,
    voice_from_proto,
    voice_to_proto,
    wording_from_proto,
)  # fmt: skip
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.values import Capabilities
from parley.text.speech.lexicon import parse_lexicon
from parley.values import Voice, Wording
from parley.worker.framing import FramingOptions
from parley.worker.refusals import queue_full
from parley.worker.requests import check_voice, identifier
from parley.worker.settings import WorkerSettings
from parley.worker.stats import WorkerStats
from parley.worker.utterance import Utterance, UtteranceHooks, UtteranceLimits

if TYPE_CHECKING:
    from parley.worker.model_manager import Lease, ModelManager

_REMEMBERED = 16
"""Ended utterances of a session whose last sequence can still be asked for."""
_EARLY = 16
"""Commands for utterances that have not begun that a session keeps."""
_MOST_UTTERANCES = 8
"""Utterances that one session may have open."""


@dataclass(slots=True)
class _Session:
    """One StartSession: a voice and the lease on its model."""

    session_id: str
    voice: Voice
    lease: Lease
    used: float
    wording: Wording
    utterances: dict[str, Utterance] = field(default_factory=dict)
    ended: OrderedDict[str, int] = field(default_factory=OrderedDict)
    early: dict[str, int] = field(default_factory=dict)
    """Commands that overtook their utterance, by its id."""


class TtsServicer:
    """The eight calls of the service. Lives on one event loop."""

    def __init__(self, settings: WorkerSettings, manager: ModelManager) -> None:
        self.settings, self._manager = settings, manager
        self.stats = WorkerStats()
        self._sessions: dict[str, _Session] = {}
        self._starting: dict[str, bool] = {}
        """Sessions that wait for their model; False once they have been ended meanwhile."""
        self.draining = False
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.name = settings.name

    # --- sessions ---

    async def start_session(self, request: Any) -> Any:
        """Open a session; waits until its model is in memory."""
        session_id, voice = identifier("session_id", request.session_id), voice_from_proto(request.voice)
        self._refuse_when_draining()
        model_id = self._manager.resolve(voice.model, voice.language)
        info = self._manager.info(model_id)
        voice = replace(voice, model=model_id)
        check_voice(info, voice)
        wording = wording_from_proto(request.wording)
        parse_lexicon(wording.lexicon)
        known = self._sessions.get(session_id)
        if known is not None:
            if known.voice.model != model_id or known.voice.lora != voice.lora:
                raise PreconditionFailed(
                    f"The session {session_id} speaks with {known.voice.model}; "
                    f"a session keeps its model, so open another one for {model_id}."
                )
            known.voice, known.used, known.wording = voice, clock.now(), wording
            return self._started(known)
        if session_id in self._starting:
            raise PreconditionFailed(f"The session {session_id} is being opened already.")
        if len(self._sessions) + len(self._starting) >= self.settings.max_sessions:
            self.stats.refused += 1
            raise CapacityError(f"The worker has {self.settings.max_sessions} sessions open and takes no more.")
        self._starting[session_id] = True
        try:
            lease = await self._manager.acquire(model_id, session_id)
        finally:
            wanted = self._starting.pop(session_id)
        if self.draining or not wanted:
            lease.release()
            self._refuse_when_draining()
            raise PreconditionFailed(f"The session {session_id} was ended before its model was there.")
        session = self._sessions[session_id] = _Session(session_id, voice, lease, clock.now(), wording)
        return self._started(session)

    def _started(self, session: _Session) -> Any:
        status = self._manager.status(session.lease.pool.info)
        voice = session.voice
        if not voice.language and status.info.languages:
            voice = replace(voice, language=status.info.languages[0])
        return pb.StartSessionResponse(voice=voice_to_proto(voice), model=model_to_proto(status))

    async def end_session(self, request: Any) -> Any:
        """Close a session: stop what it speaks, free its lease. One that is being opened never opens."""
        if request.session_id in self._starting:
            self._starting[request.session_id] = False
            return pb.EndSessionResponse()
        self._close(self._session(request.session_id))
        return pb.EndSessionResponse()

    def _close(self, session: _Session) -> None:
        del self._sessions[session.session_id]
        for utterance in list(session.utterances.values()):
            utterance.stop()
        session.lease.release()

    def close_idle_sessions(self) -> None:
        """Close sessions that have not spoken for ``session_idle_ms``: their owner has forgotten them."""
        oldest = clock.now() - self.settings.session_idle_ms / 1000
        for session in list(self._sessions.values()):
            if not session.utterances and session.used < oldest:
                self._close(session)

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound(f"There is no session {session_id!r} on this worker; open it with StartSession.")
        session.used = clock.now()
        return session

    # --- speaking ---

    async def synthesize(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Speak one utterance: frames leave as they are made."""
        first = await self._first_of(requests)
        session, utterance = self._open(first)
        reader = asyncio.get_running_loop().create_task(self._read_text(utterance, first.text, requests))
        try:
            async for message in self._write(session, utterance, reader):
                yield message
        finally:
            reader.cancel()
            self._end(session, utterance)

    async def _first_of(self, requests: AsyncIterator[Any]) -> Any:
        """The message that names the utterance. A caller that never sends it must not hold the stream for ever."""
        try:
            async with asyncio.timeout(limit := self.settings.first_message_ms / 1000):
                first = await anext(requests, None)
        except TimeoutError:
            raise TimedOut(
                f"No first message came for {limit:g} s (worker.first_message_ms); "
                "send the session_id and the utterance_id as soon as the stream is open."
            ) from None
        if first is None:
            raise InvalidRequest("The stream ended before its first message.")
        return first

    def _open(self, first: Any) -> tuple[_Session, Utterance]:
        self._refuse_when_draining()
        session = self._session(first.session_id)
        utterance_id = identifier("utterance_id", first.utterance_id)
        if utterance_id in session.utterances:
            raise PreconditionFailed(f"The utterance {utterance_id} is being spoken already.")
        if len(session.utterances) >= _MOST_UTTERANCES:
            raise CapacityError(f"The session has {_MOST_UTTERANCES} utterances open; end one of them first.")
        if self.stats.queue_depth >= self.settings.max_queue:
            self.stats.refused += 1
            raise queue_full(self.stats.queue_depth, self._retry_after())
        wording = self._wording_of(session, first)
        utterance = self._new_utterance(session, utterance_id, self._voice_of(session, first), wording)
        self._quiet.clear()
        session.utterances[utterance_id] = utterance
        self.stats.utterances += 1
        early = session.early.pop(utterance_id, None)
        if early == pb.CONTROL_COMMAND_PAUSE:
            utterance.pause()
        elif early == pb.CONTROL_COMMAND_STOP:
            utterance.stop()
        return session, utterance

    def _voice_of(self, session: _Session, first: Any) -> Voice:
        if not first.HasField("voice"):
            return session.voice
        wanted, own = voice_from_proto(first.voice), session.voice
        if wanted.model and self._manager.resolve(wanted.model) != own.model:
            raise PreconditionFailed(
                f"The session {session.session_id} speaks with {own.model}; open another one for {wanted.model}."
            )
        if wanted.lora and wanted.lora != own.lora:
            raise PreconditionFailed(f"The session {session.session_id} speaks with the LoRA {own.lora or '(none)'}.")
        voice = replace(
            wanted,
            model=own.model,
            lora=own.lora,
            speaker=wanted.speaker or own.speaker,
            language=wanted.language or own.language,
        )
        check_voice(session.lease.pool.info, voice)
        return voice

    def _wording_of(self, session: _Session, first: Any) -> Wording:
        """What the utterance says of its words, over what the session does, over this worker's settings."""
        own = self.settings.text
        wording = Wording(None if own.normalize else False, own.lexicon)
        for said in (session.wording, wording_from_proto(first.wording)):
            parse_lexicon(said.lexicon)  # a mistake in it is the caller's, and told by its own words
            normalize = wording.normalize if said.normalize is None else said.normalize
            wording = Wording(normalize, "\n".join(filter(None, (wording.lexicon, said.lexicon))))
        return wording

    def _new_utterance(self, session: _Session, utterance_id: str, voice: Voice, wording: Wording) -> Utterance:
        pool, synthesis = session.lease.pool, self.settings.synthesis
        framing = FramingOptions(
            loudness=synthesis.loudness and not pool.calibrated,
            target_lufs=synthesis.target_lufs,
            initial_gain_db=pool.gain_db,
            trim=synthesis.trim_leading_silence and not pool.calibrated,
            sentence_pause=pool.sentence_pause,
            lead_out=pool.lead_out,
        )
        limits = UtteranceLimits(
            synthesis.read_ahead, min(synthesis.parallel_sentences, max(pool.slots, pool.info.concurrency)),
            synthesis.max_text,
        )  # fmt: skip
        hooks = UtteranceHooks(self._count_waiting, self._count_first_frame)
        return Utterance(
            utterance_id, voice, pool.submit, pool.wake, framing, limits, hooks,
            language=pool.language(voice), normaliser=pool.normaliser(voice, wording),
        )  # fmt: skip

    async def _read_text(self, utterance: Utterance, text: str, requests: AsyncIterator[Any]) -> None:
        """Feed the pieces to the utterance as they come; bad text fails it."""
        try:
            if text:
                utterance.add_text(text)
            async for request in requests:
                if request.text:
                    utterance.add_text(request.text)
            utterance.end_text()
        except InvalidRequest as error:
            utterance.fail(error)

    async def _write(self, session: _Session, utterance: Utterance, reader: asyncio.Task[None]) -> AsyncIterator[Any]:
        """Yield messages: the first frames alone, then more and more of them together."""
        most = 1
        while True:
            try:
                frames = await utterance.next_frames(most)
            except ParleyError:
                self.stats.failed += 1
                raise
            if not frames:
                self.stats.stopped += 1
                yield self._stopped(session, utterance)
                return
            self.stats.frames += len(frames)
            if frames[-1].final:
                self.stats.completed += 1
                self._end(session, utterance)
                yield frames_to_proto(session.session_id, frames, pb.FINISH_REASON_COMPLETED)
                return
            yield frames_to_proto(session.session_id, frames, pb.FINISH_REASON_UNSPECIFIED)
            if utterance.last_sequence >= 1:
                most = min(most * 2, self.settings.synthesis.max_batch_frames)

    def _stopped(self, session: _Session, utterance: Utterance) -> Any:
        sequence = utterance.last_sequence + 1
        empty = AudioFrame(
            b"", utterance_id=utterance.utterance_id, sequence=sequence, start_sample=960 * sequence, final=True
        )
        return frames_to_proto(session.session_id, [empty], pb.FINISH_REASON_STOPPED)

    def _end(self, session: _Session, utterance: Utterance) -> None:
        """Forget the utterance, but for the sequence that it reached."""
        utterance.cancel()
        if session.utterances.pop(utterance.utterance_id, None) is None:
            return
        session.used = clock.now()
        session.ended[utterance.utterance_id] = utterance.last_sequence
        if len(session.ended) > _REMEMBERED:
            session.ended.popitem(last=False)
        factor = utterance.real_time_factor
        if factor:
            self.stats.real_time_factor.add(clock.now(), factor)
        if not any(other.utterances for other in self._sessions.values()):
            self._quiet.set()

    def _count_waiting(self, change: int) -> None:
        self.stats.queue_depth += change

    def _count_first_frame(self, seconds: float) -> None:
        self.stats.first_audio.add(clock.now(), seconds)

    def _retry_after(self) -> float:
        return max(0.2, self.stats.first_audio.median(clock.now()))

    # --- control ---

    async def control(self, request: Any) -> Any:
        """Hold, continue or stop what a session speaks, or read a model again."""
        if request.command == pb.CONTROL_COMMAND_RELOAD:
            if not request.model_id:
                raise InvalidRequest("RELOAD needs a model_id.")
            await self._manager.reload(request.model_id)
            return pb.ControlResponse(last_sequence=-1)
        if request.command not in (pb.CONTROL_COMMAND_PAUSE, pb.CONTROL_COMMAND_RESUME, pb.CONTROL_COMMAND_STOP):
            raise InvalidRequest(f"{request.command} is no command; say PAUSE, RESUME, STOP or RELOAD.")
        session = self._session(request.session_id)
        if not request.utterance_id:
            reached = [self._apply(utterance, request.command) for utterance in list(session.utterances.values())]
            return pb.ControlResponse(last_sequence=max(reached, default=-1))
        utterance = session.utterances.get(request.utterance_id)
        if utterance is not None:
            return pb.ControlResponse(last_sequence=self._apply(utterance, request.command))
        if request.utterance_id in session.ended:
            return pb.ControlResponse(last_sequence=session.ended[request.utterance_id])
        self._keep_early(session, identifier("utterance_id", request.utterance_id), request.command)
        return pb.ControlResponse(last_sequence=-1)

    def _apply(self, utterance: Utterance, command: int) -> int:
        if command == pb.CONTROL_COMMAND_PAUSE:
            return utterance.pause()
        if command == pb.CONTROL_COMMAND_RESUME:
            return utterance.resume()
        return utterance.stop()

    def _keep_early(self, session: _Session, utterance_id: str, command: int) -> None:
        """The command overtook the stream that it is for: obey it when the stream begins."""
        if command == pb.CONTROL_COMMAND_RESUME and session.early.get(utterance_id) == pb.CONTROL_COMMAND_PAUSE:
            del session.early[utterance_id]
        elif session.early.get(utterance_id) != pb.CONTROL_COMMAND_STOP and command != pb.CONTROL_COMMAND_RESUME:
            session.early[utterance_id] = command
            if len(session.early) > _EARLY:
                del session.early[next(iter(session.early))]

    # --- models ---

    async def list_models(self, request: Any) -> Any:
        """All models of the catalog."""
        return pb.ListModelsResponse(models=[model_to_proto(status) for status in self._manager.statuses()])

    async def load_model(self, request: Any) -> Any:
        """Make a model resident."""
        self._refuse_when_draining()
        name = identifier("model_id", request.model_id)
        seconds = await self._manager.load(name, pin=request.pin)
        status = self._manager.status(self._manager.info(self._manager.resolve(name)))
        return pb.LoadModelResponse(model=model_to_proto(status), load_ms=round(seconds * 1000))

    async def unload_model(self, request: Any) -> Any:
        """Free a model."""
        freed = await self._manager.unload(identifier("model_id", request.model_id))
        return pb.UnloadModelResponse(freed_bytes=freed)

    async def get_capabilities(self, request: Any) -> Any:
        """What this worker is, has and does."""
        return capabilities_to_proto(self.capabilities())

    def capabilities(self) -> Capabilities:
        """What this worker is, has and does right now."""
        infos, now = [status.info for status in self._manager.statuses()], clock.now()
        return Capabilities(
            worker_name=self.name,
            version=__version__,
            languages=tuple(sorted({tag for info in infos for tag in info.languages})),
            tags=tuple(sorted({tag for info in infos for tag in info.tags})),
            device=self.settings.device,
            sessions=len(self._sessions),
            max_sessions=self.settings.max_sessions,
            queue_depth=self.stats.queue_depth,
            first_audio_p50_ms=1000 * self.stats.first_audio.median(now),
            real_time_factor=self.stats.real_time_factor.median(now),
            memory_used_bytes=self._manager.memory_used,
            memory_budget_bytes=self.settings.models.memory_budget_bytes,
            draining=self.draining,
            resident_models=self._manager.resident(),
        )

    # --- leaving ---

    def _refuse_when_draining(self) -> None:
        if self.draining:
            raise Draining("The worker is draining and takes nothing new; use another one.")

    async def drain(self, limit: float) -> bool:
        """Take nothing new and wait until what is spoken has ended. False when ``limit`` seconds were not enough."""
        self.draining = True
        try:
            async with asyncio.timeout(limit):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Close every session."""
        for session in list(self._sessions.values()):
            self._close(session)
