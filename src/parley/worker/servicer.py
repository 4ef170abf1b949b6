"""``parley.tts.v1`` as a service: sessions, utterances, control.

State belongs to sessions and utterances, never to a model. Every method raises errors of
``parley.errors``; ``server`` turns them into status codes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from parley import __version__, clock, tracing
from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.errors import (
    CapacityError,
    InvalidRequest,
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
from parley.text.speech.lexicon import check_lexicon, parse_lexicon
from parley.values import Voice, Wording
from parley.worker.framing import FramingOptions
from parley.worker.refusals import queue_full
from parley.worker.requests import check_voice, identifier
from parley.worker.sessions import Session, Sessions
from parley.worker.settings import WorkerSettings
from parley.worker.stats import WorkerStats
from parley.worker.utterance import Utterance, UtteranceHooks, UtteranceLimits

if TYPE_CHECKING:
    from parley.worker.model_manager import ModelManager

_MOST_UTTERANCES = 8
"""Utterances that one session may have open."""


class TtsServicer:
    """The eight calls of the service. Lives on one event loop."""

    def __init__(self, settings: WorkerSettings, manager: ModelManager) -> None:
        check_lexicon(settings.text.lexicon, "worker.text.lexicon")
        self.settings, self._manager = settings, manager
        self.stats = WorkerStats()
        self.sessions = Sessions(manager, self.stats, most=settings.max_sessions, idle=settings.session_idle_ms / 1000)
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.name = settings.name
        self.local_socket = ""
        """Name of the socket for orchestrators of this machine; empty when there is none."""

    @property
    def draining(self) -> bool:
        """It takes nothing new."""
        return self.sessions.draining

    # --- sessions ---

    async def start_session(self, request: pb.StartSessionRequest) -> pb.StartSessionResponse:
        """Open a session; waits until its model is in memory."""
        session_id, wording = identifier("session_id", request.session_id), wording_from_proto(request.wording)
        parse_lexicon(wording.lexicon)
        session = await self.sessions.open(session_id, voice_from_proto(request.voice), wording)
        status = self._manager.status(session.lease.pool.info)
        voice = session.voice
        if not voice.language and status.info.languages:
            voice = replace(voice, language=status.info.languages[0])
        return pb.StartSessionResponse(voice=voice_to_proto(voice), model=model_to_proto(status))

    async def end_session(self, request: pb.EndSessionRequest) -> pb.EndSessionResponse:
        """Close a session: stop what it speaks, free its lease. One that is being opened never opens."""
        self.sessions.end(request.session_id)
        return pb.EndSessionResponse()

    # --- speaking ---

    async def synthesize(self, requests: AsyncIterator[pb.SynthesizeRequest]) -> AsyncIterator[pb.AudioFrame]:
        """Speak one utterance: frames leave as they are made."""
        span, failed = tracing.begin("synthesize", "server"), ""
        try:
            first = await self._first_of(requests)
            session, utterance = self._open(first)
            span.note(parley__model=session.voice.model)
            reader = asyncio.get_running_loop().create_task(self._read_text(utterance, first.text, requests))
            try:
                async for message in self._write(session, utterance):
                    span.reached("parley.first_audio_s")
                    yield message
            finally:
                reader.cancel()
                self._end(session, utterance)
                utterance.trace(span)
        except ParleyError as error:
            failed = error.code
            raise
        finally:
            span.end(failed)

    async def _first_of(self, requests: AsyncIterator[pb.SynthesizeRequest]) -> pb.SynthesizeRequest:
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

    def _open(self, first: pb.SynthesizeRequest) -> tuple[Session, Utterance]:
        self.sessions.refuse_when_draining()
        session = self.sessions.find(first.session_id)
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

    def _voice_of(self, session: Session, first: pb.SynthesizeRequest) -> Voice:
        if not first.HasField("voice"):
            return session.voice
        wanted, own = voice_from_proto(first.voice), session.voice
        if wanted.model:
            wanted = self.sessions.named(wanted)
            if wanted.model != own.model:
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

    def _wording_of(self, session: Session, first: pb.SynthesizeRequest) -> Wording:
        """What the utterance says of its words, over what the session does, over this worker's settings."""
        own = self.settings.text
        wording = Wording(None if own.normalize else False, own.lexicon)
        for said in (session.wording, wording_from_proto(first.wording)):
            parse_lexicon(said.lexicon)  # a mistake in it is the caller's, and told by its own words
            normalize = wording.normalize if said.normalize is None else said.normalize
            wording = Wording(normalize, "\n".join(filter(None, (wording.lexicon, said.lexicon))))
        return wording

    def _new_utterance(self, session: Session, utterance_id: str, voice: Voice, wording: Wording) -> Utterance:
        pool, synthesis = session.lease.pool, self.settings.synthesis
        framing = FramingOptions(
            loudness=synthesis.loudness and not pool.calibrated,
            target_lufs=synthesis.target_lufs,
            initial_gain_db=pool.gain_db,
            trim=synthesis.trim_leading_silence and not pool.calibrated,
            sentence_pause=pool.sentence_pause,
            lead_out=pool.lead_out,
            pace=pool.pace / voice.speed,
            native_marks=pool.info.word_marks == "native",
        )
        limits = UtteranceLimits(
            synthesis.read_ahead, min(synthesis.parallel_sentences, max(pool.slots, pool.info.concurrency)),
            synthesis.max_text, synthesis.head_start,
        )  # fmt: skip
        hooks = UtteranceHooks(self._count_waiting, self._count_first_frame, session.lead)
        language, normaliser, speed = pool.language(voice), pool.normaliser(voice, wording), pool.speed(voice)
        if voice.lora:
            voice = replace(voice, lora=pool.loras.begin(voice.lora))  # given back by _end
        return Utterance(
            utterance_id, voice, pool.submit, pool.wake, framing, limits, hooks,
            language=language, normaliser=normaliser, speed=speed,
        )  # fmt: skip

    async def _read_text(self, utterance: Utterance, text: str, requests: AsyncIterator[pb.SynthesizeRequest]) -> None:
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

    async def _write(self, session: Session, utterance: Utterance) -> AsyncIterator[pb.AudioFrame]:
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

    def _stopped(self, session: Session, utterance: Utterance) -> pb.AudioFrame:
        sequence = utterance.last_sequence + 1
        empty = AudioFrame(
            b"",
            utterance_id=utterance.utterance_id,
            sequence=sequence,
            start_sample=FRAME_SAMPLES * sequence,
            final=True,
        )
        return frames_to_proto(session.session_id, [empty], pb.FINISH_REASON_STOPPED)

    def _end(self, session: Session, utterance: Utterance) -> None:
        """Forget the utterance, but for the sequence that it reached."""
        utterance.cancel()
        if not session.forget(utterance):
            return
        if utterance.voice.lora:
            session.lease.pool.loras.end(utterance.voice.lora)
        factor = utterance.real_time_factor
        if factor:
            self.stats.real_time_factor.add(clock.now(), factor)
            session.lease.pool.spoke(factor)
        if not self.sessions.speaking:
            self._quiet.set()

    def _count_waiting(self, change: int) -> None:
        self.stats.queue_depth += change

    def _count_first_frame(self, seconds: float) -> None:
        self.stats.first_audio.add(clock.now(), seconds)

    def _retry_after(self) -> float:
        return max(0.2, self.stats.first_audio.median(clock.now()))

    # --- control ---

    async def control(self, request: pb.ControlRequest) -> pb.ControlResponse:
        """Hold, continue or stop what a session speaks, or read a model again."""
        if request.command == pb.CONTROL_COMMAND_RELOAD:
            if not request.model_id:
                raise InvalidRequest("RELOAD needs a model_id.")
            await self._manager.reload(request.model_id)
            return pb.ControlResponse(last_sequence=-1)
        if request.command not in (pb.CONTROL_COMMAND_PAUSE, pb.CONTROL_COMMAND_RESUME, pb.CONTROL_COMMAND_STOP):
            raise InvalidRequest(f"{request.command} is no command; say PAUSE, RESUME, STOP or RELOAD.")
        session = self.sessions.find(request.session_id)
        if not request.utterance_id:
            reached = [self._apply(utterance, request.command) for utterance in list(session.utterances.values())]
            return pb.ControlResponse(last_sequence=max(reached, default=-1))
        utterance = session.utterances.get(request.utterance_id)
        if utterance is not None:
            return pb.ControlResponse(last_sequence=self._apply(utterance, request.command))
        if request.utterance_id in session.ended:
            return pb.ControlResponse(last_sequence=session.ended[request.utterance_id])
        session.keep_early(identifier("utterance_id", request.utterance_id), request.command)
        return pb.ControlResponse(last_sequence=-1)

    def _apply(self, utterance: Utterance, command: pb.ControlCommand) -> int:
        if command == pb.CONTROL_COMMAND_PAUSE:
            return utterance.pause()
        if command == pb.CONTROL_COMMAND_RESUME:
            return utterance.resume()
        return utterance.stop()

    # --- models ---

    async def list_models(self, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
        """All models of the catalog."""
        return pb.ListModelsResponse(models=[model_to_proto(status) for status in self._manager.statuses()])

    async def load_model(self, request: pb.LoadModelRequest) -> pb.LoadModelResponse:
        """Make a model resident."""
        self.sessions.refuse_when_draining()
        name = identifier("model_id", request.model_id)
        seconds = await self._manager.load(name, pin=request.pin)
        status = self._manager.status(self._manager.info(self._manager.resolve(name)))
        return pb.LoadModelResponse(model=model_to_proto(status), load_ms=round(seconds * 1000))

    async def unload_model(self, request: pb.UnloadModelRequest) -> pb.UnloadModelResponse:
        """Free a model."""
        freed = await self._manager.unload(identifier("model_id", request.model_id))
        return pb.UnloadModelResponse(freed_bytes=freed)

    async def get_capabilities(self, request: pb.GetCapabilitiesRequest) -> pb.GetCapabilitiesResponse:
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
            sessions=len(self.sessions),
            max_sessions=self.settings.max_sessions,
            queue_depth=self.stats.queue_depth,
            first_audio_p50_ms=1000 * self.stats.first_audio.median(now),
            real_time_factor=self.stats.real_time_factor.median(now),
            memory_used_bytes=self._manager.memory_used,
            memory_budget_bytes=self.settings.models.memory_budget_bytes,
            draining=self.draining,
            resident_models=self._manager.resident(),
            local_socket=self.local_socket,
            refused=self.stats.refused + self._manager.counters.refusals,
        )

    # --- leaving ---

    async def drain(self, limit: float) -> bool:
        """Take nothing new and wait until what is spoken has ended. False when ``limit`` seconds were not enough."""
        self.sessions.draining = True
        try:
            async with asyncio.timeout(limit):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Close every session."""
        for session in self.sessions:
            self.sessions.close(session)
