"""What a worker says about itself, and the seam through which it is heard."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from parley.errors import ConfigError
from parley.registry.sanity import MAX_ITEMS, check_fields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable


@dataclass(frozen=True, slots=True)
class AnnouncedModel:
    """One model of a worker's catalog, resident or not."""

    model_id: str
    family: str = ""
    languages: tuple[str, ...] = ()
    """BCP 47; empty when the worker does not say."""
    speakers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    supports_lora: bool = False
    needs_gpu: bool = False
    memory_bytes: int = 0
    is_default: bool = False
    """It speaks when a session names no model."""
    open_speakers: bool = False
    """It takes speakers besides those that are listed."""
    real_time_factor: float = 0.0
    """Seconds of work that it takes for a second of audio there; 0 when that has not been measured."""

    @property
    def is_test(self) -> bool:
        """Made to be measured, not to be listened to: it speaks for nobody who has not named it."""
        return "test" in self.tags


@dataclass(frozen=True, slots=True)
class WorkerMetrics:
    """How a worker does right now."""

    queue_depth: int = 0
    """Utterances waiting for an engine slot."""
    first_audio_p50_ms: float = 0.0
    """Median time from text to first frame over the last minutes; 0 when unknown."""
    real_time_factor: float = 0.0
    """Median of synthesis time over audio time; 0 when unknown."""
    sessions: int = 0
    max_sessions: int = 0
    """0 when the worker sets no bound."""
    memory_used_bytes: int = 0
    memory_budget_bytes: int = 0
    """0 when the worker sets no bound."""
    refused: int = 0
    """Sessions, utterances and requests for a model that were refused since it started."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One worker as the fleet sees it."""

    name: str
    """Unique in the fleet; a restarted worker keeps it."""
    address: str
    """``host:port`` of its gRPC server, reachable from the orchestrators."""
    instance: str = ""
    """Differs each time the worker's process starts."""
    version: str = ""
    device: str = "cpu"
    """"cpu", or the GPU's name."""
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Of the catalog and of the worker itself: "edge", "gpu" ..."""
    capabilities: tuple[str, ...] = ("streaming", "pause", "word_marks")
    sample_rate: int = 48_000
    """Hz of the frames that leave it."""
    models: tuple[AnnouncedModel, ...] = ()
    resident_models: tuple[str, ...] = ()
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    draining: bool = False
    """It finishes what it speaks and takes nothing new."""
    local_socket: str = ""
    """Name of its socket for orchestrators of the same machine and user; empty when it has none."""

    def model(self, model_id: str) -> AnnouncedModel | None:
        """The catalog's entry, or None."""
        return next((model for model in self.models if model.model_id == model_id), None)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Announcement:
        """Read :meth:`to_json`; fields that a newer worker added are passed over. ValueError says what is wrong."""
        try:
            data = json.loads(text)
            data["models"] = tuple(_build(AnnouncedModel, model) for model in data.get("models", ()))
            data["metrics"] = _build(WorkerMetrics, data.get("metrics", {}))
            announcement: Announcement = _build(cls, data)
            announcement.check()
        except (AttributeError, KeyError, TypeError, RecursionError, ConfigError) as error:
            raise ValueError(f"not an announcement: {error}") from error
        return announcement

    def check(self) -> None:
        """ValueError or ConfigError when it cannot be true: figures out of this world, an address of another kind."""
        for part in (self, self.metrics, *self.models):
            check_fields(part)
        if not self.name or len(self.models) > MAX_ITEMS:
            raise ValueError("a worker has a name, and no more models than anybody could keep")
        split_address(self.address)


def _build(kind: Any, data: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known}
    return kind(**values)


def from_capabilities(
    capabilities: Any, models: Iterable[Any], *, address: str, instance: str = "", tags: Iterable[str] = ()
) -> Announcement:
    """An announcement from a worker's capabilities and its models with their states, as ``parley.rpc`` has them."""
    catalog = tuple(
        AnnouncedModel(
            model_id=model.info.model_id,
            family=model.info.family,
            languages=tuple(model.info.languages),
            speakers=tuple(model.info.speakers),
            open_speakers=model.info.open_speakers,
            tags=tuple(model.info.tags),
            supports_lora=model.info.supports_lora,
            needs_gpu=model.info.needs_gpu,
            memory_bytes=model.info.memory_bytes,
            is_default=model.is_default,
            real_time_factor=model.real_time_factor,
        )
        for model in models
    )
    return Announcement(
        name=capabilities.worker_name or address,
        address=address,
        instance=instance,
        version=capabilities.version,
        device=capabilities.device or "cpu",
        languages=tuple(capabilities.languages),
        tags=tuple(dict.fromkeys((*capabilities.tags, *tags))),
        models=catalog,
        resident_models=tuple(capabilities.resident_models),
        metrics=WorkerMetrics(
            queue_depth=capabilities.queue_depth,
            first_audio_p50_ms=round(capabilities.first_audio_p50_ms, 3),
            real_time_factor=round(capabilities.real_time_factor, 5),
            sessions=capabilities.sessions,
            max_sessions=capabilities.max_sessions,
            memory_used_bytes=capabilities.memory_used_bytes,
            memory_budget_bytes=capabilities.memory_budget_bytes,
            refused=capabilities.refused,
        ),
        draining=capabilities.draining,
        local_socket=capabilities.local_socket,
    )


# --- where it is to be found -----------------------------------------------------------


_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_V6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]+)?\]")


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` taken apart; ConfigError says what is wrong."""
    host, _, port = address.rpartition(":")
    numbered = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65_536
    if not numbered or not (_NAME.fullmatch(host) or _V6.fullmatch(host)):
        raise ConfigError(f"The address {address!r} is not host:port; give one such as 10.0.0.5:7100.")
    return host.strip("[]"), int(port)


def address_complaint(address: str) -> str:
    """Why other hosts cannot reach ``address``, as a sentence; empty when they may."""
    host, port = split_address(address)
    if is_unspecified(host):
        kind = "is where a server listens, not where it is found"
    elif is_loopback(host):
        kind = "is this machine's own loopback"
    else:
        return ""
    return (
        f"The worker advertises {host}:{port}, which {kind}: orchestrators on other hosts will not reach it. "
        f"Advertise this machine's own name or address, for example --advertise 10.0.0.5:{port}."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can use that name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_unspecified(host: str) -> bool:
    """Whether it stands for every address of a machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def many_hosts(registry_url: str) -> bool:
    """Whether workers of other hosts may be in that registry."""
    host = urlsplit(registry_url).hostname or ""
    return bool(host) and not is_loopback(host)


# --- the seam --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegistryHealth:
    """Whether what the registry says is fresh."""

    connected: bool = True
    detail: str = ""
    """What is wrong, as a sentence; empty when all is well."""


class Registry(Protocol):
    """Who speaks, and where. Announcements expire with their lease unless they are renewed.

    A registry that is out of reach never raises from :meth:`list` or :meth:`watch`: they go on with
    what was known, and :attr:`health` says so. :meth:`announce` and :meth:`withdraw` raise
    UnavailableError, since their caller can try again.
    """

    @property
    def health(self) -> RegistryHealth: ...

    async def announce(self, announcement: Announcement, *, lease: float) -> None:
        """Say, or say again with new figures, that a worker is there for ``lease`` more seconds."""

    async def withdraw(self, name: str) -> None:
        """Take a worker off the list at once; one that is not on it is no error."""

    async def list(self) -> tuple[Announcement, ...]:
        """The workers with a valid lease, by name."""

    def watch(self) -> AsyncGenerator[tuple[Announcement, ...], None]:
        """The list now, and again whenever it changed; changes that nobody waited for fall together."""

    async def aclose(self) -> None:
        """End every watch. Safe to call twice."""
