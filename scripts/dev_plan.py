"""What `just dev` runs, and how each is told about the others. Decides only: no process is started here."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

PROGRAMS = {
    "redis-server": "redis",
    "livekit-server": "livekit",
    "caddy": "caddy",
}
"""Other people's programs, and the service that is left out where one is not installed."""
MISSING = {
    "redis": "workers are named by their addresses (sudo apt install redis-server)",
    "livekit": "no rooms (go install github.com/livekit/livekit-server/cmd/server@v1.13.5)",
    "caddy": "no HTTPS (sudo apt install caddy)",
    "vite": "the page as it was built, without changes of its sources (npm --prefix web ci)",
}
_SERVER = "/v1/* /health /metrics /realtime /mcp"
"""What the orchestrator answers; everything else is the page's, where vite serves that."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each listens, on 127.0.0.1 alone."""

    https: int = 8443
    rooms: int = 8444
    orchestrator: int = 8080
    vite: int = 5173
    redis: int = 16379
    """Not Redis' usual one: a machine may have a Redis of its own."""
    livekit: int = 7880
    livekit_tcp: int = 7881
    livekit_udp: int = 7882
    worker: int = 50051
    """Of the first; the others have the next ones."""
    metrics: int = 9101
    """Of the first worker; the others have the next ones."""

    def all(self, workers: int) -> dict[str, int]:
        """Every port and what it is for; UDP ports end in ``_udp``."""
        named: dict[str, int] = {each.name: getattr(self, each.name) for each in fields(self)}
        for what in ("worker", "metrics"):
            first = named.pop(what)
            named |= {f"{what} {number + 1}": first + number for number in range(workers)}
        return named


@dataclass(frozen=True, slots=True)
class Service:
    """One process."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    """Where it runs; empty for here."""
    ready: str = ""
    """How a line of its own begins that says it can be used; empty where a port says it."""
    port: int = 0
    """What answers there says that it can be used."""
    after: tuple[str, ...] = ()
    """It starts once these can be used."""
    reloads: bool = False
    """It is started again when our own code changes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever starts it wants."""

    ports: Ports = Ports()
    workers: int = 2
    voice: str = ""
    """The model that speaks; empty for the best here."""
    settings: tuple[str, ...] = ()
    """``key=value``, for orchestrator and workers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that has to be started."""

    services: tuple[Service, ...]
    files: Mapping[str, str]
    """Names and texts of files that only this user may read."""
    url: str
    """Where the page is."""


def plan(asked: Asked, have: Collection[str], folder: Path, secret: str, authority: Path) -> Plan:
    """The services that can run here.

    ``have``: which of redis, livekit, caddy, vite are installed. ``folder`` will hold the plan's files, ``secret`` is
    what the processes know each other by, and Caddy keeps its certificates in ``authority``.
    """
    ports = asked.ports
    services: list[Service] = []
    files: dict[str, str] = {}
    if "redis" in have:
        files["redis.conf"] = _redis(ports, secret)
        services.append(Service("redis", ("redis-server", str(folder / "redis.conf")), port=ports.redis))
    if "livekit" in have:
        files["livekit.yaml"] = _livekit(ports, secret)
        command = ("livekit-server", "--config", str(folder / "livekit.yaml"))
        services.append(Service("livekit", command, port=ports.livekit))
    services += [_worker(number, asked, have, secret) for number in range(asked.workers)]
    services.append(_orchestrator(asked, have, secret))
    if "vite" in have:
        command = ("node_modules/.bin/vite", "--host", "127.0.0.1", "--port", str(ports.vite), "--strictPort")
        services.append(Service("vite", command, folder="web", port=ports.vite))
    if "caddy" in have:
        files["Caddyfile"] = _caddyfile(ports, have)
        command = ("caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile"))
        # where it keeps its authority, so that a browser has to be told of it once only
        kept = {"XDG_DATA_HOME": str(authority), "XDG_CONFIG_HOME": str(authority)}
        services.append(Service("caddy", command, kept, port=ports.https, after=("orchestrator",)))
    url = f"https://localhost:{ports.https}" if "caddy" in have else f"http://127.0.0.1:{ports.orchestrator}"
    return Plan(tuple(services), files, url)


def left_out(have: Collection[str]) -> list[str]:
    """A sentence for each service that cannot run here."""
    return [f"Without {name}: {what}." for name, what in MISSING.items() if name not in have]


def _parley(command: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "parley", "--debug", command, *words)


def _set(settings: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for each in settings for word in ("--set", each))


def _shared(asked: Asked, have: Collection[str], secret: str) -> dict[str, str]:
    """Settings of orchestrator and workers. Whoever waits at the terminal wants an end soon, so drains are short."""
    shared = {
        "PARLEY_WORKER__API_KEY": secret,
        "PARLEY_ROUTING__API_KEY": secret,
        "PARLEY_SERVER__DRAIN": "1",
        "PARLEY_LIVEKIT__DRAIN": "1",
        "PARLEY_WORKER__DRAIN_MS": "1000",
    }
    if "redis" in have:
        shared["PARLEY_REGISTRY__URL"] = f"redis://:{secret}@127.0.0.1:{asked.ports.redis}/0"
    if asked.voice:
        shared["PARLEY_WORKER__MODELS__DEFAULT_MODEL"] = asked.voice
    return shared


def _needs(have: Collection[str], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in have)


def _worker(number: int, asked: Asked, have: Collection[str], secret: str) -> Service:
    port, name = asked.ports.worker + number, f"worker-{number + 1}"
    environment = _shared(asked, have, secret) | {"PARLEY_WORKER__METRICS_PORT": str(asked.ports.metrics + number)}
    command = _parley("worker", "--port", str(port), "--name", name, *_set(asked.settings))
    return Service(name, command, environment, ready="worker ready at ", after=_needs(have, "redis"), reloads=True)


def _orchestrator(asked: Asked, have: Collection[str], secret: str) -> Service:
    ports = asked.ports
    environment = _shared(asked, have, secret) | {"PARLEY_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    if "redis" not in have:
        addresses = (f"127.0.0.1:{ports.worker + number}" for number in range(asked.workers))
        environment["PARLEY_ROUTING__WORKERS"] = ",".join(addresses)
    if "livekit" in have:
        public = f"wss://localhost:{ports.rooms}" if "caddy" in have else f"ws://127.0.0.1:{ports.livekit}"
        environment |= {
            "PARLEY_LIVEKIT__URL": f"ws://127.0.0.1:{ports.livekit}",
            "PARLEY_LIVEKIT__PUBLIC_URL": public,
            "PARLEY_LIVEKIT__API_KEY": "parley",
            "PARLEY_LIVEKIT__API_SECRET": secret,
        }
    command = _parley("serve", "--port", str(ports.orchestrator), *_set(asked.settings))
    after = _needs(have, "redis", "livekit")
    return Service("orchestrator", command, environment, ready="Parley is ready at ", after=after, reloads=True)


def _redis(ports: Ports, secret: str) -> str:
    return f'bind 127.0.0.1\nport {ports.redis}\nrequirepass {secret}\nsave ""\nappendonly no\n'


def _livekit(ports: Ports, secret: str) -> str:
    return (
        f"port: {ports.livekit}\n"
        'bind_addresses: ["127.0.0.1"]\n'
        f'keys: {{parley: "{secret}"}}\n'
        "rtc:\n"
        "  node_ip: 127.0.0.1\n"
        f"  tcp_port: {ports.livekit_tcp}\n"
        f"  udp_port: {ports.livekit_udp}\n"
        "  use_external_ip: false\n"
        "  enable_loopback_candidate: true\n"
        '  ips: {includes: ["127.0.0.1/32"]}\n'
        "logging: {level: info}\n"
    )


def _caddyfile(ports: Ports, have: Collection[str]) -> str:
    server = f"127.0.0.1:{ports.orchestrator}"
    page = f"127.0.0.1:{ports.vite}" if "vite" in have else server
    rooms = (
        f"https://localhost:{ports.rooms} {{\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:{ports.livekit}\n}}\n"
        if "livekit" in have
        else ""
    )
    return (
        "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"
        f"https://localhost:{ports.https} {{\n"
        "\tbind 127.0.0.1\n"
        f"\t@server path {_SERVER}\n"
        f"\treverse_proxy @server {server}\n"
        f"\treverse_proxy {page}\n"
        f"}}\n{rooms}"
    )


# --- what changes ------------------------------------------------------------------------------

Stamps = Mapping[str, int]
"""When each file was last written, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Tells a change once, and only when everything that is written with it has been written."""

    settled: Stamps
    seen: Stamps

    def look(self, now: Stamps) -> tuple[Watched, list[str]]:
        """The files that changed since the last time something was told, once two looks show the same."""
        if now != self.seen:
            return replace(self, seen=now), []
        names = sorted(name for name in {*now, *self.settled} if now.get(name) != self.settled.get(name))
        return replace(self, settled=now), names
