"""Wiring: from settings to a server with everything behind it."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from parley.errors import ConfigError, ParleyError
from parley.hints import install
from parley.values import Voice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.routing import BaseRoute

    from parley.api.realtime.endings import Endings
    from parley.config import Settings
    from parley.interfaces import EndOfTurnModel, InterruptionModel, LanguageModel, Recognizer
    from parley.routing.pool import PooledSynthesizer
    from parley.server.peers import Peers
    from parley.server.recording import RecordingKeeper
    from parley.server.sessions import Parts, SessionHost
    from parley.server.siblings import Sibling

log = structlog.get_logger(__name__)

_VOICE = "the voice"
_EARS = "the recogniser"
_WARM_UP_TEXT = "Ready."
_RETRY = 0.5
_PATIENCE = 3
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_wanted(settings: Settings) -> None:
    """Refuse what cannot be opened before anything is started: nobody waits for workers to hear of it.

    Raises ConfigError for a way in whose package or key is missing, for a turn model or a recogniser's model that is
    not here, and for a server of tools that cannot be had.
    """
    from importlib.util import find_spec

    from parley.cli.chosen import named_ears, turn_model
    from parley.tools import check_servers
    from parley.tools.mcp.addresses import is_address

    turn_model(settings)
    named_ears(settings)
    check_servers(settings.tools)
    if settings.mcp.enabled and find_spec("mcp") is None:
        raise ConfigError(f"mcp.enabled needs the package mcp; install it with: {install('mcp')}.")
    if settings.api.realtime.mcp_servers and find_spec("mcp") is None:
        raise ConfigError(f"api.realtime.mcp_servers needs the package mcp; install it with: {install('mcp')}.")
    for address in settings.api.realtime.mcp_servers:
        if not is_address(address):
            raise ConfigError(f'api.realtime.mcp_servers has "{address[:200]}", which is no http address.')
    if settings.livekit.url:
        from parley.server.livekit import check_settings

        check_settings(settings.livekit)


async def run_orchestrator(
    settings: Settings,
    sock: socket.socket,
    *,
    ready: Callable[[str], Awaitable[None]] | None = None,
    sibling: Sibling | None = None,
) -> None:
    """Serve on ``sock`` until told to stop, then drain.

    ``ready`` is awaited with the address once a conversation can be held; ``sibling``: this process among others that
    share the port. Raises ConfigError when something that the settings ask for is not installed.
    """
    from parley.cli.process import started
    from parley.observability.otlp import exporting
    from parley.server.app import STATIC, create_app
    from parley.server.runner import base_url, serve

    if settings.server.host not in _LOOPBACK and not (settings.server.api_key or settings.server.keys):
        log.warning("everybody who can reach this port may talk; set server.api_key or server.keys to choose who may")
    async with AsyncExitStack() as stack:
        stack.enter_context(exporting(settings.traces, "parley-orchestrator", f"{socket.gethostname()}:{os.getpid()}"))
        host = await _open_host(settings, stack)
        if sibling is not None:
            stack.push_async_callback(sibling.aclose)
        routes = await _open_routes(settings, host, stack, sibling)
        app = create_app(host, routes, page=STATIC if settings.server.page else None)
        started()
        warming = asyncio.create_task(
            _warm_up(host, partial(ready, base_url(settings.server, sock)) if ready else None)
        )
        stack.push_async_callback(_cancelled, warming)
        await serve(
            app,
            settings.server,
            sock,
            max_message_bytes=_longest_message(settings),
            tally=host.metrics,
            drain=host.drain,
            sibling=sibling,
            in_line=lambda: host.in_line,
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# --- the host --------------------------------------------------------------------------


async def _open_host(settings: Settings, stack: AsyncExitStack) -> SessionHost:
    from parley.loop_watch import LoopWatch
    from parley.observability.metrics import Metrics
    from parley.server.access import Access
    from parley.server.fleet import ears_figures, figures_of
    from parley.server.sessions import SessionHost

    access = Access(settings.server)
    stack.callback(access.close)
    access.start()
    keeper = _open_recording(settings, stack)
    parts = await _open_parts(settings, stack, keeper)
    metrics = Metrics()
    if keeper:
        metrics.read_from(keeper.figures)
    metrics.read_from(partial(figures_of, parts.voices))
    metrics.read_from(partial(ears_figures, parts.recognizer))
    watch = LoopWatch(metrics.loop_lag, stall_after=settings.log.stall_after)
    stack.callback(watch.close)
    watch.start()
    host = SessionHost(
        settings.server,
        parts,
        metrics,
        session=settings.session,
        clients=settings.clients,
        websocket=settings.websocket,
        access=access,
    )
    if settings.server.warm_up:
        host.waiting_for = [_VOICE, _EARS]
    return host


async def _open_parts(settings: Settings, stack: AsyncExitStack, keeper: RecordingKeeper | None) -> Parts:
    from parley.audio.echo import create_echo_guard
    from parley.audio.noise import open_microphone
    from parley.cli.chosen import models_named
    from parley.registry import open_registry
    from parley.registry.snapshots import open_snapshots
    from parley.routing.links import open_pool
    from parley.server.fleet import faster_voice
    from parley.server.sessions import Parts, as_they_are
    from parley.session.pressure import Relief
    from parley.tools import create_tools
    from parley.vad import create_vad

    voices = open_pool(settings.routing, open_registry(settings.registry))
    for registry in voices.registries:
        stack.push_async_callback(registry.aclose)
    stack.push_async_callback(voices.aclose)
    voices.start()
    snapshots = open_snapshots(settings.registry)
    if snapshots is not None:
        stack.push_async_callback(snapshots.aclose)
    language_model = _open_language_model(settings, voices)
    stack.push_async_callback(language_model.aclose)
    recognizer = open_recognizer(settings)
    stack.push_async_callback(recognizer.aclose)
    tools = create_tools(settings.tools, script=settings.llm.engine == "script")
    if tools is not None:
        stack.push_async_callback(tools.aclose)
        await tools.start()
    # The first of each reads a model or imports a library: now, not while others talk.
    await asyncio.to_thread(create_vad, settings=settings.vad)
    await asyncio.to_thread(create_echo_guard, settings.microphone)
    return Parts(
        recognizer,
        language_model,
        voices,
        end_of_turn=_open_end_of_turn(settings),
        overhear=_open_interruption(settings),
        snapshots=snapshots,
        tools=tools,
        models=models_named(settings),
        relief=Relief(_open_faster_ears(settings, stack), partial(faster_voice, voices)),
        make_vad=partial(create_vad, settings=settings.vad),
        make_microphone=partial(open_microphone, settings=settings.microphone),
        make_echo_guard=lambda _: create_echo_guard(settings.microphone),
        wrap=keeper.wrap if keeper else as_they_are,
    )


def _open_recording(settings: Settings, stack: AsyncExitStack) -> RecordingKeeper | None:
    if not settings.recording.enabled:
        return None
    from parley.server.recording import RecordingKeeper

    keeper = RecordingKeeper(settings.recording, settings.vad, wall_clock=_wall_clock)
    stack.push_async_callback(_cancelled, asyncio.create_task(keeper.sweep(), name="recordings"))
    return keeper


def _open_language_model(settings: Settings, voices: PooledSynthesizer) -> LanguageModel:
    from parley.llm import create_language_model
    from parley.server.fleet import voices_of

    return create_language_model(settings.llm, voices=partial(voices_of, voices))


def open_recognizer(settings: Settings) -> Recognizer:
    """The ears that the settings want."""
    from parley.asr import AUTO, AsrSettings, create_recognizer
    from parley.asr.by_language import ByLanguage
    from parley.cli.chosen import ears_for, named_ears
    from parley.environments import open_environments
    from parley.llm.script import phrases
    from parley.session.decide.lexicon import lexicon

    patience = settings.session.limits.asr_timeout
    if settings.asr.stuck_after >= patience:
        raise ConfigError(
            f"asr.stuck_after ({settings.asr.stuck_after:g} s) must be less than session.limits.asr_timeout "
            f"({patience:g} s): a process that hangs is replaced while its turn is still waited for."
        )
    # Nods and calls to stop are said over replies, whoever answers; the script's phrases only to the script.
    known = lexicon(settings.asr.language or "en")
    short = (*sorted(known.backchannels), *sorted(known.stops))
    likely = (*(phrases() if settings.llm.engine == "script" else ()), *short)

    def make(asr: AsrSettings) -> Recognizer:
        return create_recognizer(asr, phrases=likely, environments=open_environments(settings.engines))

    named = named_ears(settings)
    return ByLanguage(partial(ears_for, settings), make) if named.engine == AUTO else make(named)


def _open_faster_ears(settings: Settings, stack: AsyncExitStack) -> Recognizer | None:
    """The recogniser that hears when the usual one is late, where one is wanted."""
    from parley.asr import create_recognizer
    from parley.environments import open_environments

    budget = settings.session.budget
    if not (budget.enabled and budget.faster_ears):
        return None
    asr = replace(settings.asr, engine=budget.faster_ears, model="")
    ears = create_recognizer(asr, environments=open_environments(settings.engines))
    stack.push_async_callback(ears.aclose)
    return ears


def _open_end_of_turn(settings: Settings) -> EndOfTurnModel | None:
    from parley.cli.chosen import turn_model
    from parley.vad import create_turn_model

    choice = turn_model(settings)
    return None if choice.path is None else create_turn_model(choice.engine, choice.path)


def _open_interruption(settings: Settings) -> Callable[[], InterruptionModel | None]:
    from parley.cli.chosen import interruption_model
    from parley.vad import create_interruption_model

    choice = interruption_model(settings)
    return (lambda: None) if choice.path is None else create_interruption_model(choice.engine, choice.path)


# --- ways in ---------------------------------------------------------------------------


async def _open_routes(
    settings: Settings, host: SessionHost, stack: AsyncExitStack, sibling: Sibling | None
) -> list[BaseRoute]:
    """The routes besides the WebSocket's, and which transports the page may choose from."""
    from parley.api.errors import both
    from parley.server.fleet import FleetModels, models_in_use
    from parley.server.models import model_routes

    transports = ["websocket"]
    connecting: Callable[[], None] = _nothing
    routes: list[BaseRoute] = []
    endings = _open_endings(stack)  # before what holds sessions, so that it is closed after that
    peers = _open_peers(settings, stack, sibling.mark if sibling else "")
    if peers is not None:
        from parley.server.webrtc import WebRtcEndpoint

        routes += WebRtcEndpoint(host, peers).routes
        connecting = peers.library.wanted_soon
        transports.insert(0, "webrtc")
    if settings.livekit.url:
        routes += await _open_livekit(settings, host, stack)
        transports.append("livekit")
    in_use = partial(models_in_use, host.parts.models, host.parts.voices)
    if settings.api.audio:
        routes += _audio_routes(settings, host, in_use)
    if settings.mcp.enabled:
        routes += await _open_mcp(settings, host, in_use, stack)
    if settings.api.realtime.enabled:
        routes += _realtime_routes(settings, host, peers, endings, sibling)
    if settings.wyoming.enabled:
        await _open_wyoming(settings, host, stack)
    routes += _token_routes(host, sibling)
    return [
        *routes,
        *model_routes(host, FleetModels(host.parts.voices), transports, in_use, told=both, connecting=connecting),
    ]


def _nothing() -> None:
    """No way in needs to be made ready."""


def _wall_clock() -> float:
    """Seconds since 1970."""
    return datetime.now(UTC).timestamp()


def _token_routes(host: SessionHost, sibling: Sibling | None) -> list[BaseRoute]:
    from parley.server.tokens import token_routes

    if sibling is not None:
        host.access.share(sibling)
    return [*token_routes(host, host.access, _wall_clock)]


def _open_endings(stack: AsyncExitStack) -> Endings:
    """What closes the rest of sessions that are over."""
    from parley.api.realtime.endings import Endings

    endings = Endings()
    stack.push_async_callback(endings.aclose)
    return endings


def _open_peers(settings: Settings, stack: AsyncExitStack, mark: str) -> Peers | None:
    """Everybody who comes by WebRTC; None where nobody may."""
    if not settings.webrtc.enabled:
        return None
    from parley.server import peers

    opened = peers.Peers(settings.webrtc, mark)
    stack.push_async_callback(opened.aclose)
    return opened


async def _open_wyoming(settings: Settings, host: SessionHost, stack: AsyncExitStack) -> None:
    from parley import __version__
    from parley.api.names import existing_voice
    from parley.api.places import Places
    from parley.api.wyoming.announce import addresses_of, announced
    from parley.api.wyoming.connection import Service
    from parley.api.wyoming.info import described
    from parley.api.wyoming.server import WyomingServer
    from parley.cli.chosen import ears_languages
    from parley.server.fleet import announced_by, speakers_of

    voices, languages = host.parts.voices, ears_languages(settings)

    def resolve(voice: Voice) -> Voice:
        meant = existing_voice(voice, speakers_of(voices), settings.api.names)
        voices.check(meant)
        return meant

    server = WyomingServer(
        Service(
            settings.wyoming,
            voices,
            host.parts.recognizer,
            Places(settings.wyoming.exchanges, "texts and recordings", "wyoming.exchanges", host.at_work),
            lambda: described(announced_by(voices), host.parts.models.get("ears", ""), languages, __version__),
            resolve,
            voices.end_session,
        ),
        reuse_port=settings.server.reuse_port,
    )
    addresses = addresses_of(settings.wyoming.host) if settings.wyoming.announce else []
    await server.start()
    stack.push_async_callback(server.aclose)
    if addresses:
        name = await stack.enter_async_context(announced(addresses, server.port, version=__version__))
        log.info("the network was told of the wyoming port", name=name)


def _audio_routes(settings: Settings, host: SessionHost, in_use: Callable[[], Mapping[str, str]]) -> list[BaseRoute]:
    from parley.api.listening.endpoint import Listening
    from parley.api.speech import Speech
    from parley.api.transcription import Transcription
    from parley.api.voices import Voices
    from parley.server.fleet import speakers_of
    from parley.server.fleet_voices import FleetVoices

    voices = host.parts.voices
    speech = Speech(host, settings.api, voices, partial(speakers_of, voices), voices.end_session, host.at_work)
    listening = Listening(host, settings.api, host.parts.recognizer, host.parts.make_vad, host.at_work)
    transcription = Transcription(host, settings.api, host.parts.recognizer, in_use, host.at_work)
    clones = Voices(host, settings.api, FleetVoices(voices), host.parts.recognizer, host.at_work)
    return [*speech.routes, *transcription.routes, *listening.routes, *clones.routes]


async def _open_mcp(
    settings: Settings, host: SessionHost, in_use: Callable[[], Mapping[str, str]], stack: AsyncExitStack
) -> list[BaseRoute]:
    from parley.api.mcp.endpoint import McpEndpoint
    from parley.api.mcp.fleet import FleetBackend
    from parley.server.fleet import speakers_of

    voices, ears = host.parts.voices, host.parts.recognizer
    speakers = partial(speakers_of, voices)
    backend = FleetBackend(settings.mcp, settings.api, voices, ears, speakers, in_use, voices.end_session, host.at_work)
    endpoint = McpEndpoint(host, settings.mcp, backend)
    await endpoint.start()
    stack.push_async_callback(endpoint.aclose)
    return list(endpoint.routes)


def _longest_message(settings: Settings) -> int:
    """Of whatever client; each transport has its own bound besides."""
    realtime = settings.api.realtime
    return max(settings.clients.max_message_bytes, realtime.max_message_bytes if realtime.enabled else 0)


def _realtime_routes(
    settings: Settings, host: SessionHost, peers: Peers | None, endings: Endings, sibling: Sibling | None
) -> list[BaseRoute]:
    from parley.api.realtime.endpoint import Realtime
    from parley.server.fleet import speakers_of

    voices = host.parts.voices
    speakers = partial(speakers_of, voices)

    looks = settings.llm.engine == "openai" and settings.llm.openai.images
    realtime = Realtime(
        host, host.run_session, settings.api, speakers, voices.check, _wall_clock, host.parts.tools,
        endings=endings, looks=looks, sibling=sibling,
    )  # fmt: skip
    if peers is None:
        return realtime.routes
    from parley.api.realtime.calls import Calls

    return [*realtime.routes, *Calls(realtime, host, peers).routes]


async def _open_livekit(settings: Settings, host: SessionHost, stack: AsyncExitStack) -> list[BaseRoute]:
    from parley.server.livekit import LiveKitEndpoint, LiveKitWorker

    def load() -> float:
        return 1.0 if host.draining else host.sessions / settings.server.max_sessions

    worker = LiveKitWorker(host, settings.livekit, load=load)
    stack.push_async_callback(worker.aclose)
    await worker.start()
    return list(LiveKitEndpoint(host, settings.livekit, ready=lambda: worker.ready).routes)


# --- getting ready ---------------------------------------------------------------------


async def _warm_up(host: SessionHost, ready: Callable[[], Awaitable[None]] | None) -> None:
    """Let voice and ears work once, so that the first participant does not wait for them."""
    try:
        async with asyncio.TaskGroup() as group:
            for what, work in ((_VOICE, _speak_once), (_EARS, _listen_once)):
                group.create_task(_keep_trying(host, what, work))
        while host.troubles() and not host.draining:
            await host.parts.voices.fleet.changed(_RETRY)
    except* ParleyError as errors:
        log.error("warm-up failed", reason="; ".join(str(error) for error in errors.exceptions))
        raise
    # What is there now stays: no collection has to look at it again while people are talking.
    gc.collect()
    gc.freeze()
    if ready is not None and not host.draining:
        await ready()


async def _keep_trying(host: SessionHost, what: str, work: Callable[[SessionHost], Awaitable[Any]]) -> None:
    """Until it works once. A worker that starts together with us is not worth a warning."""
    said, times = "", 0
    while what in host.waiting_for:
        try:
            await work(host)
        except ParleyError as error:
            times = times + 1 if error.message == said else 1
            said = error.message
            if times == _PATIENCE:
                log.warning("not ready yet", waiting_for=what, reason=said)
            await host.parts.voices.fleet.changed(_RETRY)
        else:
            host.waiting_for.remove(what)


async def _speak_once(host: SessionHost) -> None:
    async def text() -> AsyncIterator[str]:
        yield _WARM_UP_TEXT

    synthesis = host.parts.voices.synthesize(text(), voice=Voice(), session_id="warm-up", utterance_id="warm-up")
    try:
        async for _ in synthesis:
            break
    finally:
        await synthesis.aclose()
        await host.parts.voices.end_session("warm-up")


async def _listen_once(host: SessionHost) -> None:
    import numpy as np

    from parley.audio.frame import AudioFrame

    async def silence() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(np.zeros(3_200, np.int16).tobytes(), 16_000)

    async with aclosing(host.parts.recognizer.transcribe(silence())) as transcripts:
        async for _ in transcripts:
            pass
