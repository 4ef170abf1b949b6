"""What ``parley doctor`` looks at. Each check returns findings and never raises."""

from __future__ import annotations

import asyncio
import ctypes.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from parley import hints
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.config import Settings

State = Literal["ok", "optional", "wrong"]
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    part: str
    name: str
    state: State
    detail: str = ""
    mend: str = ""
    """A command, or what to do; empty when all is well."""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


async def examine(settings: Settings, trouble: str = "") -> list[Finding]:
    """Everything, in the order of the table; ``trouble`` is what is wrong with the settings."""
    return [
        *_machine(trouble),
        *_ears(settings),
        *_voices(settings),
        *_terminal(),
        *_page(settings),
        *await _neighbours(settings),
    ]


def _present(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _package(part: str, module: str, what: str, extra: str, *, needed: bool = False) -> Finding:
    """Whether a package of an extra is installed."""
    if _present(module):
        return Finding(part, what, "ok", _version_of(module))
    mend = hints.install(extra) if extra else hints.install_packages(module)
    return Finding(part, what, "wrong" if needed else "optional", "not installed", mend)


def _version_of(module: str) -> str:
    for name in (module, module.replace("_", "-"), f"{module}-tts"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "installed"


# --- this machine ----------------------------------------------------------------------


def _machine(trouble: str) -> Iterable[Finding]:
    python = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("machine", f"Python {python}", "ok" if fits else "wrong", "" if fits else "3.11 to 3.13 is needed",
                  "" if fits else "uv run --python 3.13 parley up")  # fmt: skip
    if sys.platform != "win32":
        yield _package("machine", "uvloop", "uvloop, a faster event loop", "")
    if trouble:
        for line in trouble.splitlines():
            yield Finding("machine", "settings", "wrong", line, hints.command("config reference"))
    else:
        yield Finding("machine", "settings", "ok")
    gpu = shutil.which("nvidia-smi")
    yield Finding(
        "machine", "NVIDIA GPU", "ok" if gpu else "optional", "" if gpu else "none: voices run on the processor"
    )


# --- ears ------------------------------------------------------------------------------


RECOGNISER_EXTRAS = {"faster-whisper": "whisper", "sherpa": "sherpa", "moonshine": "moonshine", "onnx-asr": "onnx-asr"}
"""The recognisers that come with an extra of the package."""


def _ears(settings: Settings) -> Iterable[Finding]:
    from parley.store.engines import ENGINES
    from parley.vad import create_vad

    try:
        create_vad(settings=settings.vad)
    except ParleyError as error:
        yield Finding("ears", f"speech detector {settings.vad.engine}", "wrong", error.message)
    else:
        yield Finding("ears", f"speech detector {settings.vad.engine}", "ok")
    engine = settings.asr.engine
    yield _package("ears", "pocketsphinx", "recogniser pocketsphinx", "", needed=engine == "pocketsphinx")
    for name, extra in RECOGNISER_EXTRAS.items():
        yield _package("ears", ENGINES[extra].module, f"recogniser {name}", extra, needed=engine == name)
    yield from _apart(settings, "ears", {engine})
    yield _listeners(settings)
    yield _best_here(settings)


_CALLED = {"ears": "recogniser", "voice": "family"}


def _apart(settings: Settings, kind: str, used: Container[str]) -> Iterable[Finding]:
    """Engines in environments of their own: how large each is, or what its environment would take."""
    from parley.cli.engines import as_dict
    from parley.environments import GROUPS

    for group in GROUPS.values():
        about = as_dict(settings, group)
        for family in group.families:
            if family.kind != kind:
                continue
            detail = "; ".join(filter(None, (about["state"], about["advice"])))
            if about["usable"]:
                yield Finding(kind, f"{_CALLED[kind]} {family.name}", "ok", f"{about['size_mb']} MB, {detail}")
            else:
                state: State = "wrong" if family.name in used else "optional"
                detail += f"; takes {about['disk_mb']} MB"
                mend = hints.command(f"engines install {group.name}")
                yield Finding(kind, f"{_CALLED[kind]} {family.name}", state, detail, mend)


def _best_here(settings: Settings) -> Finding:
    """What auto stands for here, and the one command that would be better."""
    from parley.cli.chosen import in_words, models_named, what_would_be_better

    try:
        said, better = in_words(models_named(settings)), what_would_be_better(settings)
    except ParleyError as error:
        return Finding("ears", "models", "wrong", error.message)
    return Finding("ears", "models", "optional" if better else "ok", said, better)


_TALKERS_PER_CORE = 2.0
"""Seconds of speech that pocketsphinx decodes in one (measured, 2 to 3); a larger model does less."""


def _listeners(settings: Settings) -> Finding:
    """How many can speak at once."""
    decoders, cores = settings.asr.decoders, os.cpu_count() or 1
    name = f"{decoders} decoder{'s' if decoders > 1 else ''}"
    if settings.asr.engine != "pocketsphinx":
        return Finding("ears", name, "ok", "shared by everybody who speaks; `parley bench asr` says how soon they hear")
    talkers = int(_TALKERS_PER_CORE * min(decoders, cores))
    return Finding(
        "ears", name, "ok",
        f"about {talkers} people can talk at once without a pause; of more, short turns are understood first",
    )  # fmt: skip


# --- voices ----------------------------------------------------------------------------


def _voices(settings: Settings) -> Iterable[Finding]:
    from parley.cli.worker import voices_here
    from parley.worker.adapters import FAMILIES

    catalog = voices_here(settings)
    used = {info.family for info in catalog.models()}
    for name, family in FAMILIES.items():
        if family.module and not family.environment:
            yield _package("voices", family.module, f"family {name}", family.extra, needed=name in used)
    yield from _apart(settings, "voice", used)
    if "piper" in used and _present("piper") and not _present("onnx"):
        yield Finding("voices", "word marks of piper", "optional",
                      "estimated from the text: the voice's own need onnx", hints.install("piper"))  # fmt: skip
    packs = [info.model_id for info in catalog.models() if not {"embedded", "test"} & set(info.tags)]
    yield Finding("voices", "voice packs", "ok" if packs else "optional", ", ".join(packs) or "none yet",
                  "" if packs else hints.command("models pull"))  # fmt: skip
    for model_id, problem in catalog.problems().items():
        yield Finding("voices", f"voice pack {model_id}", "wrong", problem.message)
    wanted = settings.worker.models.default_model
    try:
        catalog.pack(wanted)
    except ParleyError as error:
        yield Finding(
            "voices", f"default model {wanted}", "wrong", error.message, hints.command(f"models pull {wanted}")
        )
    else:
        yield Finding("voices", f"default model {wanted}", "ok")


# --- terminal and page -----------------------------------------------------------------


def _terminal() -> Iterable[Finding]:
    yield _package("terminal", "sounddevice", "microphone and loudspeaker", "mic")
    portaudio = ctypes.util.find_library("portaudio")
    bundled = sys.platform in ("win32", "darwin")
    yield Finding("terminal", "PortAudio", "ok" if portaudio or bundled else "optional",
                  "" if portaudio or bundled else "not installed: parley chat --wav and --text work without it",
                  "" if portaudio or bundled else "sudo apt install libportaudio2")  # fmt: skip
    yield _package("terminal", "livekit", "echo cancellation, LiveKit rooms", "mic")


def _page(settings: Settings) -> Iterable[Finding]:
    from parley.server.app import STATIC

    if (STATIC / "index.html").is_file():
        yield Finding("page", "web page", "ok")
    elif shutil.which("npm"):
        yield Finding("page", "web page", "optional", "not built", "just web")
    else:
        yield Finding("page", "web page", "optional", "not built: npm is missing", "sudo apt install npm && just web")


# --- neighbours ------------------------------------------------------------------------


async def _neighbours(settings: Settings) -> list[Finding]:
    return list(
        await asyncio.gather(
            _port(settings),
            _language_model(settings),
            _registry(settings),
            _livekit(settings),
            *(_worker(settings, address) for address in settings.routing.workers),
        )
    )


async def _port(settings: Settings) -> Finding:
    """Free, taken by a Parley, or taken by somebody else."""
    import httpx2

    host, port = settings.server.host, settings.server.port
    name = f"port {port} on {host}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            return Finding("neighbours", name, "ok", "free")
    try:
        async with httpx2.AsyncClient(timeout=_PATIENCE, trust_env=False, verify=False) as client:
            scheme = "https" if settings.server.tls_cert else "http"
            answer = (await client.get(f"{scheme}://{host}:{port}/health")).json()
        return Finding("neighbours", name, "ok", f"a Parley runs there: {answer['status']}{_slow(answer)}")
    except (httpx2.HTTPError, ValueError, TypeError, KeyError):
        return Finding("neighbours", name, "wrong", reason, hints.command(f"up --port {port + 1 if port else 8080}"))


def _slow(answer: dict[str, Any]) -> str:
    """The voices that do not keep up there."""
    return "".join(
        f"; the voice {name} takes {factor:g} s for a second of speech"
        for name, factor in answer.get("slow_voices", {}).items()
    )


async def _language_model(settings: Settings) -> Finding:
    if settings.llm.engine == "script":
        return await _script(settings)
    url = urlsplit(settings.llm.openai.base_url)
    return await _reachable("language model", url.hostname or "", url.port or (443 if url.scheme == "https" else 80),
                            "start it, or set llm.openai.base_url")  # fmt: skip


async def _script(settings: Settings) -> Finding:
    """No language model is set; one may run on this machine all the same."""
    from parley.cli.chosen import language_models_nearby, use_of

    nearby = await language_models_nearby(settings)
    if not nearby:
        return Finding("neighbours", "language model", "ok", "the built-in script; --llm takes a real one")
    there = "; ".join(f"port {each.port} has {', '.join(each.models[:3])}" for each in nearby)
    return Finding("neighbours", "language model", "ok", f"the built-in script; {there}", use_of(nearby[0]))


async def _registry(settings: Settings) -> Finding:
    if not settings.registry.url:
        return Finding("neighbours", "registry", "ok", "in memory: one machine")
    url = urlsplit(settings.registry.url)
    return await _reachable("registry (Redis)", url.hostname or "", url.port or 6379, "just redis")


async def _livekit(settings: Settings) -> Finding:
    if not settings.livekit.url:
        return Finding("neighbours", "LiveKit", "ok", "not used: browsers connect directly")
    if not _present("livekit.agents"):
        return Finding("neighbours", "LiveKit", "wrong", "its packages are not installed", hints.install("livekit"))
    url = urlsplit(settings.livekit.url)
    port = url.port or (443 if url.scheme == "wss" else 80)
    return await _reachable("LiveKit", url.hostname or "", port, "start livekit-server, or clear livekit.url")


async def _worker(settings: Settings, address: str) -> Finding:
    from parley.routing.links import worker_access
    from parley.rpc.client import WorkerClient

    client = WorkerClient(address, worker_access(settings.routing))
    try:
        said = await client.capabilities(timeout=_PATIENCE)
    except ParleyError as error:
        port = address.rpartition(":")[2]
        return Finding(
            "neighbours", f"worker {address}", "wrong", error.message, hints.command(f"worker --port {port}")
        )
    finally:
        await client.aclose()
    return Finding("neighbours", f"worker {address}", "ok", f"speaks with {', '.join(said.resident_models)}")


async def _reachable(name: str, host: str, port: int, mend: str) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return Finding("neighbours", name, "wrong", f"{host}:{port}: {reason}", mend)
    writer.close()
    return Finding("neighbours", name, "ok", f"{host}:{port} answers")
