"""The registry of many processes and hosts: keys with a time to live in a Redis server.

``<prefix>:worker:<name>`` holds one announcement as JSON and dies with its lease; ``<prefix>:workers``
is the index of names; ``<prefix>:news`` is the channel that carries changes worth knowing at once
(a worker came, left, drains, loaded a model). Plain figures wait for the next regular reading.

When the server is out of reach the last known list stays, and after it came back whoever was known
keeps one lease's time to announce itself again: a Redis that restarts empty empties no fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
from typing import TYPE_CHECKING, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from parley import clock
from parley.errors import ConfigError, UnavailableError
from parley.registry.announcement import Announcement, RegistryHealth, WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from redis.asyncio.client import PubSub

    from parley.registry.settings import RegistrySettings

log = logging.getLogger(__name__)

MAX_WORKERS = 10_000
"""More names than that are not read."""
MAX_BYTES = 1_000_000
"""A longer announcement is passed over."""
_NO_KEY = -2
LOST = (RedisError, OSError, asyncio.TimeoutError)
"""How a Redis that is not there shows itself."""


def connect(url: str) -> Redis:
    """A client that fails fast and leaves trying again to its caller. ConfigError for a bad URL."""
    try:
        client = Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # what somebody else wrote may be no text at all
            socket_timeout=2.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigError(f"The registry URL is not one that Redis understands: {error}") from error
    return client


class RedisRegistry:
    """Announcements in Redis. Belongs to one event loop; :meth:`aclose` ends its reader task."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._redis = connect(settings.url)
        self._key = f"{settings.prefix}:worker:"
        self._index = f"{settings.prefix}:workers"
        self._channel = f"{settings.prefix}:news"
        self._said: dict[str, Announcement] = {}
        self._known: dict[str, Announcement] = {}
        self._passed_over: set[str] = set()
        self._soonest_expiry = 0.0
        self._grace_until = 0.0
        self._connected = False
        self._trouble = "The registry has not answered yet."
        self._reader: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._version = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def health(self) -> RegistryHealth:
        if self._connected or self._reader is None:
            return RegistryHealth()
        return RegistryHealth(False, self._trouble)

    async def announce(self, announcement: Announcement, *, lease: float) -> None:
        name = announcement.name
        if name not in self._said:
            await self._look_for_namesake(announcement)
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(self._key + name, announcement.to_json(), px=max(1, round(lease * 1000)))
        pipe.sadd(self._index, name)
        if _newsworthy(self._said.get(name), announcement):
            pipe.publish(self._channel, f"+{name}")
        await self._must(pipe.execute())
        self._said[name] = announcement

    async def _look_for_namesake(self, announcement: Announcement) -> None:
        """Two workers of one name would take turns on the list, and nobody would know why."""
        text = await self._must(self._redis.get(self._key + announcement.name))
        try:
            other = Announcement.from_json(text) if isinstance(text, str) else announcement
        except ValueError:
            return
        if other.address != announcement.address:
            log.warning(
                "A worker called %s is, or was a moment ago, at %s; this one at %s takes its name. "
                "Give each worker a --name of its own.",
                other.name,
                other.address,
                announcement.address,
            )

    async def withdraw(self, name: str) -> None:
        self._said.pop(name, None)
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(self._key + name)
        pipe.srem(self._index, name)
        pipe.publish(self._channel, f"-{name}")
        await self._must(pipe.execute())

    async def list(self) -> tuple[Announcement, ...]:
        self._start()
        await self._first.wait()
        return self._snapshot()

    async def watch(self) -> AsyncGenerator[tuple[Announcement, ...], None]:
        self._start()
        await self._first.wait()
        seen = -1
        while not self._closed:
            if seen != self._version:
                seen = self._version
                yield self._snapshot()
            else:
                await self._changed.wait()

    async def aclose(self) -> None:
        self._closed = True
        while self._reader is not None and not self._reader.done():
            self._reader.cancel()  # the client may take a cancellation for a time-out: say it until it is heard
            await asyncio.wait([self._reader], timeout=0.1)
        self._first.set()
        self._notify()
        with contextlib.suppress(*LOST):
            await self._redis.aclose()

    async def _must(self, answer: Awaitable[object]) -> object:
        try:
            return await answer
        except LOST as error:
            self._said.clear()  # a server that restarted knows nothing: say everything again
            raise UnavailableError(f"The registry cannot be reached: {_brief(error)}.") from error

    # --- reading ---------------------------------------------------------------------

    def _start(self) -> None:
        if self._reader is None and not self._closed:
            self._reader = asyncio.get_running_loop().create_task(self._read_forever(), name="registry reader")

    async def _read_forever(self) -> None:
        backoff = 0.05
        while not self._closed:
            try:
                async with self._redis.pubsub() as news:
                    await news.subscribe(self._channel)
                    while not self._closed:
                        await self._refresh()
                        backoff = 0.05
                        await self._wait_for_news(news)
            except LOST as error:
                self._lost(error)
            except Exception:
                # Our own code: what was known stays, and the list is read again.
                log.exception("The registry's list could not be taken in.")
            await asyncio.sleep(backoff * random.uniform(0.75, 1.25))
            backoff = min(self._settings.max_backoff, backoff * 2)

    async def _refresh(self) -> None:
        names = sorted(await cast("Awaitable[set[str]]", self._redis.smembers(self._index)))[:MAX_WORKERS]
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.getrange(self._key + name, 0, MAX_BYTES)
            pipe.pttl(self._key + name)
        answers = await pipe.execute(raise_on_error=False) if names else []  # one bad key is no bad registry
        now = clock.now()
        found: dict[str, Announcement] = {}
        gone: list[str] = []
        self._soonest_expiry = now + self._settings.refresh
        for name, text, ttl_ms in zip(names, answers[::2], answers[1::2], strict=True):
            if text == "" or ttl_ms == _NO_KEY:
                gone.append(name)
                continue
            try:
                found[name] = _believed(name, text, ttl_ms)
            except ValueError as error:
                self._pass_over(name, error)
            else:
                self._soonest_expiry = min(self._soonest_expiry, now + ttl_ms / 1000 + 0.002)
        if gone:
            await self._redis.srem(self._index, *gone)
        self._found(found, now)

    def _pass_over(self, name: str, reason: ValueError) -> None:
        """Complain once about each name."""
        if name not in self._passed_over and len(self._passed_over) < MAX_WORKERS:
            self._passed_over.add(name)
            log.warning("The announcement of %.100r in the registry is passed over: %s.", name, reason)

    def _found(self, found: dict[str, Announcement], now: float) -> None:
        if not self._connected:
            if self._known:
                log.info("The registry is back; known workers have one lease to announce themselves again.")
                self._grace_until = now + self._settings.lease
            self._connected = True
        if now < self._grace_until:
            found = {**self._known, **found}
        if found != self._known:
            self._known = found
            self._notify()
        self._first.set()

    def _lost(self, error: BaseException) -> None:
        self._trouble = f"The registry cannot be reached ({_brief(error)}); the workers known before are used."
        if self._connected:
            log.warning("The registry cannot be reached; going on with the %d known workers.", len(self._known))
        self._connected = False
        self._first.set()

    async def _wait_for_news(self, news: PubSub) -> None:
        """Return when the list has to be read again."""
        while (left := self._soonest_expiry - clock.now()) > 0:
            message = await news.get_message(ignore_subscribe_messages=True, timeout=left)
            if message is not None:
                text = str(message["data"])
                if text.startswith("-"):
                    self._forget(text[1:])
                return

    def _forget(self, name: str) -> None:
        """A farewell counts even while the absent are given time."""
        if name in self._known:
            self._known = {key: value for key, value in self._known.items() if key != name}
            self._notify()

    def _snapshot(self) -> tuple[Announcement, ...]:
        return tuple(self._known[name] for name in sorted(self._known))

    def _notify(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _believed(name: str, text: object, ttl_ms: object) -> Announcement:
    """An announcement as it stands under its name. ValueError says why it cannot be believed."""
    if not isinstance(text, str) or not isinstance(ttl_ms, int):
        raise ValueError("it is no text")
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    if ttl_ms < 0:
        raise ValueError("it has no lease")
    said = Announcement.from_json(text)
    if said.name != name:
        raise ValueError("it is another worker's")
    return said


def _brief(error: BaseException) -> str:
    """The first sentence of what may be a page of advice."""
    return str(error).split(". ", 1)[0].removesuffix(".")[:200]


def _newsworthy(before: Announcement | None, after: Announcement) -> bool:
    """Whether more changed than figures."""
    if before is None:
        return True
    nothing = WorkerMetrics()
    return dataclasses.replace(before, metrics=nothing) != dataclasses.replace(after, metrics=nothing)
