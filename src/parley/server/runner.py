"""uvicorn as Parley runs it: one socket of our own, no compression, and an end in two steps."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from parley.certificates import RenewedPair
from parley.errors import ConfigError
from parley.rounds import rounds
from parley.server.connections import Connections
from parley.server.handshakes import Handshakes
from parley.server.http_protocol import BoundedHttpProtocol
from parley.server.portions import Turns
from parley.server.websocket_protocol import BoundedWebSocketProtocol
from parley.stopping import Stop, stopping

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from parley.server.settings import ServerSettings
    from parley.server.siblings import Sibling
    from parley.transports.bounds import Tally

log = structlog.get_logger(__name__)

_READ_LIMIT_FACTOR = 2
"""uvicorn reads messages of up to this many times the session's limit, so that the session can say what is wrong."""
_LAST_SECONDS = 2
RENEWAL_INTERVAL = 10.0
"""Seconds between two looks at the files of the certificate."""
_BACKLOG = 128
"""Connections that the system keeps until they are accepted, which asyncio does for all of them in one turn."""


def listen(settings: ServerSettings) -> socket.socket:
    """The socket to serve on. ConfigError when it cannot be had, with what to do."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host, settings.port), family=family, backlog=2048, reuse_port=settings.reuse_port
        )
    except OSError as error:
        raise ConfigError(_complaint(settings, error)) from None


def _complaint(settings: ServerSettings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {settings.port} on {settings.host} is in use; stop what uses it, or choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {settings.port} needs more rights than this user has; choose one from 1024 on with --port."
    return f"Cannot listen on {where}: {error.strerror or error}; choose another --host."


def base_url(settings: ServerSettings, sock: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        host = "127.0.0.1"
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Leaves signals to :func:`serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def nobody() -> int:
    """Sessions that wait to be opened, where nobody counts them."""
    return 0


def uvicorn_config(
    app: ASGIApp, settings: ServerSettings, *, tally: Tally, max_message_bytes: int, in_line: Callable[[], int] = nobody
) -> uvicorn.Config:
    """uvicorn with our bounds. ConfigError when a proxy of the settings is no address."""
    try:
        connections = Connections(settings)
    except ValueError as error:
        raise ConfigError(f"server.trusted_proxies must hold addresses or networks: {error}.") from None
    turns = Turns(time.perf_counter)
    handshakes = Handshakes(settings.handshakes, in_line)
    http: Any = partial(
        BoundedHttpProtocol, connections, handshakes, turns, tally, settings.request_timeout, settings.upload_rate
    )
    ws: Any = partial(BoundedWebSocketProtocol, turns, tally)
    return uvicorn.Config(
        app,
        http=http,
        ws=ws,
        ws_max_size=_READ_LIMIT_FACTOR * max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )


async def serve(
    app: ASGIApp,
    settings: ServerSettings,
    sock: socket.socket,
    *,
    max_message_bytes: int,
    tally: Tally,
    drain: Callable[[float], Coroutine[Any, Any, bool]],
    started: Callable[[], Awaitable[None]] | None = None,
    sibling: Sibling | None = None,
    in_line: Callable[[], int] = nobody,
) -> None:
    """Serve until SIGTERM or SIGINT; then ``drain`` for ``settings.drain`` seconds, and stop.

    A second signal cuts the drain short. ``started`` is awaited once connections are taken. ``sibling``: this process
    among others that share the port; those are heard to the end. ``in_line``: sessions that wait to be opened.
    """
    shown = app if sibling is None else sibling.passing_on(app)
    server = _Server(uvicorn_config(shown, settings, tally=tally, max_message_bytes=max_message_bytes, in_line=in_line))
    with stopping() as stop:
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(_hear(sibling, app), name="siblings") if sibling else None
            renewing = group.create_task(_renew(server.config, settings), name="tls") if settings.tls_cert else None
            serving = group.create_task(server.serve([sock]), name="http")
            ending = group.create_task(_end(server, stop, drain, settings), name="end")
            if started is not None:
                await started()
            await serving
            ending.cancel()
            for task in (beside, renewing):
                if task is not None:
                    task.cancel()


async def _renew(config: uvicorn.Config, settings: ServerSettings) -> None:
    """Take a certificate that was renewed, for whoever connects from then on."""

    def told(reason: str) -> None:
        log.warning("the renewed certificate cannot be used, the old one stays", reason=reason)

    pair = RenewedPair(settings.tls_cert, settings.tls_key, told=told)

    async def look() -> None:
        if config.ssl is not None and pair.newer():
            config.ssl.load_cert_chain(settings.tls_cert, settings.tls_key)
            log.info("renewed certificate taken", file=settings.tls_cert)

    await rounds("the look at the certificate", look, RENEWAL_INTERVAL)


async def _hear(sibling: Sibling, app: ASGIApp) -> None:
    """Answer what the processes beside this one pass on."""
    config = uvicorn.Config(
        sibling.for_others(app),
        ws="none",
        proxy_headers=True,
        forwarded_allow_ips="*",  # of the others, who say whose request it is
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    await _Server(config).serve([sibling.listen()])


async def _end(
    server: uvicorn.Server,
    stop: Stop,
    drain: Callable[[float], Coroutine[Any, Any, bool]],
    settings: ServerSettings,
) -> None:
    await stop.asked.wait()
    log.info("stopping: running conversations may finish, a second signal ends them", seconds=settings.drain)
    if settings.reuse_port:  # or the system would go on sending clients here, who are better off elsewhere
        for listener in server.servers:
            listener.close()
    try:
        if await stop.unless_hurried(drain(settings.drain)) is None:
            await drain(0.0)
    finally:
        server.should_exit = True
