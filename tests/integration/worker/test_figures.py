"""A worker tells what it does and loses: at a port of its own, and to the registry as soon as it changes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from parley.cli.children import free_port
from parley.errors import ConfigError, EngineError
from parley.registry.memory import MemoryRegistry
from parley.registry.settings import RegistrySettings
from parley.testing.engines import EngineCatalog
from parley.worker.announce import announced

pytestmark = pytest.mark.anyio

SELDOM = RegistrySettings(heartbeat=30.0, lease=90.0)
"""No heartbeat comes while a test lasts: what is heard was said because something changed."""


def value(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


async def read(port: int) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"http://127.0.0.1:{port}/metrics")).text


async def test_what_was_spoken_failed_and_loaded_is_counted(bench: Any) -> None:
    port = free_port()
    client = bench.client(await bench.worker(EngineCatalog("crash"), metrics_port=port))
    await bench.speak(client, "Hello.", utterance="1")
    with pytest.raises(EngineError):
        await bench.speak(client, "Please raise.", model="crash", utterance="2")
    text = await read(port)
    assert value(text, "parley_tts_completed_total") == 1
    assert value(text, "parley_tts_failed_total") == 1
    assert value(text, "parley_tts_model_loads_total") == 2
    assert value(text, "parley_tts_frames_total") > 0


async def test_how_late_the_loop_is_is_looked_at_while_the_worker_lives(bench: Any) -> None:
    port = free_port()
    await bench.worker(metrics_port=port)
    async with asyncio.timeout(30):
        while not value(await read(port), "parley_tts_event_loop_lag_seconds_count"):
            await asyncio.sleep(0.01)


async def test_the_figures_are_read_where_the_settings_say(bench: Any) -> None:
    port = free_port()
    await bench.worker(metrics_port=port, metrics_host="127.0.0.2")
    async with httpx.AsyncClient() as http:
        assert "parley_tts_sessions" in (await http.get(f"http://127.0.0.2:{port}/metrics")).text
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://127.0.0.1:{port}/metrics")


async def test_an_address_that_is_not_this_hosts_is_named(bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1.*worker\.metrics_host"):
        await bench.worker(metrics_port=free_port(), metrics_host="192.0.2.1")


async def test_anything_but_the_figures_is_not_found(bench: Any) -> None:
    port = free_port()
    await bench.worker(metrics_port=port)
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 404


async def test_half_a_request_holds_up_no_other(bench: Any) -> None:
    port = free_port()
    await bench.worker(metrics_port=port)
    _, half = await asyncio.open_connection("127.0.0.1", port)
    half.write(b"GET /metr")
    assert "parley_tts_sessions 0.0" in await read(port)
    half.close()
    with contextlib.suppress(ConnectionError):
        await half.wait_closed()


async def test_a_port_that_is_taken_is_named(bench: Any) -> None:
    port = free_port()
    await bench.worker(metrics_port=port)
    with pytest.raises(ConfigError, match=r"worker\.metrics_port"):
        await bench.worker(metrics_port=port)


async def heard(registry: MemoryRegistry, wanted: Any) -> None:
    async with asyncio.timeout(10), contextlib.aclosing(registry.watch()) as lists:
        async for said in lists:
            if said and wanted(said[0]):
                return


async def test_a_model_that_came_or_went_is_announced_at_once(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    client, registry = bench.client(worker), MemoryRegistry()
    async with announced(worker, SELDOM, registry):
        await heard(registry, lambda said: said.resident_models == ("tone",))
        await client.worker.load("speech")
        await heard(registry, lambda said: "speech" in said.resident_models)
        await client.worker.unload("speech")
        await heard(registry, lambda said: said.resident_models == ("tone",))
    await registry.aclose()


async def test_a_worker_that_begins_to_drain_says_so_at_once(bench: Any) -> None:
    worker, registry = await bench.worker(), MemoryRegistry()
    async with announced(worker, SELDOM, registry):
        await heard(registry, lambda said: not said.draining)
        draining = asyncio.ensure_future(worker.drain())
        await heard(registry, lambda said: said.draining)
        await draining
    await registry.aclose()
