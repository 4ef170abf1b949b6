"""A worker's life: start, health, models, drain, signals, dying children."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from parley.errors import CapacityError, ConfigError, EngineError, NotFound, PreconditionFailed, UnavailableError
from parley.interfaces import TtsAdapter
from parley.rpc.gen import tts_pb2 as pb
from parley.testing.engines import EngineCatalog
from parley.worker.server import SERVICE, Worker
from parley.worker.settings import ModelSettings, WorkerSettings

pytestmark = pytest.mark.anyio
LONG = "This is one sentence of many. " * 6


async def test_the_default_model_is_loaded_when_the_worker_listens(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech"), ModelSettings("speech", ("tone",))))
    states = {status.info.model_id: (status.state, status.is_default) for status in await client.worker.models()}
    assert states == {"speech": ("resident", True), "tone": ("resident", False)}


@pytest.mark.parametrize(("default", "error"), [("nothing", NotFound), ("broken", ConfigError)])
async def test_a_default_model_that_is_missing_or_broken_ends_the_start(default: str, error: type[Exception]) -> None:
    worker = Worker(WorkerSettings(port=0, models=ModelSettings(default)), EngineCatalog("broken"))
    with pytest.raises(error):
        await worker.start()


async def test_a_port_that_is_taken_is_a_configuration_error(bench: Any) -> None:
    port = int((await bench.worker()).address.rpartition(":")[2])
    worker = Worker(WorkerSettings(port=port, models=ModelSettings("tone")), EngineCatalog())
    with pytest.raises(ConfigError, match=str(port)):
        await worker.start()


async def test_health_tells_serving_and_then_not(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    client = bench.client(worker)
    speaking = bench.start(client, LONG, model="slow")
    await bench.take(speaking, 1)
    async with grpc.aio.insecure_channel(worker.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        drained = asyncio.ensure_future(worker.drain())
        await bench.until(lambda: worker.servicer.draining)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await speaking.aclose()
    assert await drained


async def test_reflection_lists_the_service(bench: Any) -> None:
    worker = await bench.worker()
    async with grpc.aio.insecure_channel(worker.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await call.read()
    assert SERVICE in {service.name for service in answer.list_services_response.service}


async def test_capabilities_tell_what_was_measured(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech"), name="w1"))
    await bench.speak(client, "Hello there.", model="speech")
    told = await client.worker.capabilities()
    assert told.worker_name == "w1"
    assert told.resident_models == ("speech", "tone")
    assert told.sessions == 1
    assert told.first_audio_p50_ms > 0
    assert told.real_time_factor > 0
    assert told.memory_used_bytes >= 2_000_000


async def test_a_drain_finishes_what_is_spoken_and_refuses_the_rest(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    client = bench.client(worker)
    speaking = bench.start(client, LONG, model="slow", session="a")
    heard = await bench.take(speaking, 1)
    drained = asyncio.ensure_future(worker.drain())
    await bench.until(lambda: worker.servicer.draining)
    for session in ("a", "b"):
        with pytest.raises(UnavailableError, match="draining"):
            await bench.speak(client, "Hello.", model="slow", session=session, utterance="late")
    heard += await bench.rest(speaking)
    assert heard[-1].final
    assert await drained


async def test_a_worker_can_be_described_at_every_moment_of_its_end(bench: Any) -> None:
    worker = await bench.worker()
    ending = asyncio.ensure_future(worker.drain())
    while not ending.done():
        assert set(worker.servicer.capabilities().resident_models) <= {"tone"}
        await asyncio.sleep(0)
    assert await ending


async def test_a_drain_that_takes_too_long_cuts_off(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"), drain_ms=50)
    speaking = bench.start(bench.client(worker), LONG * 4, model="slow")
    await bench.take(speaking, 1)
    await speaking.pause()
    assert not await worker.drain()
    await speaking.aclose()


async def test_models_are_loaded_and_unloaded_on_request(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    client = bench.client(worker)
    status, _ = await client.worker.load("speech", pin=True)
    assert (status.state, status.pinned) == ("resident", True)
    assert (await client.worker.load("speech"))[1] == 0
    await client.worker.unload("speech")
    assert worker.manager.resident() == ("tone",)


async def test_a_model_in_use_is_not_unloaded(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    await bench.speak(client, "Hello.", model="speech")
    with pytest.raises(PreconditionFailed, match="in use"):
        await client.worker.unload("speech")
    await client.end_session("s")
    await client.worker.unload("speech")


async def test_a_model_whose_engine_fails_to_unload_is_out_of_service_and_can_be_loaded_again(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("stuck"))
    client = bench.client(worker)
    await client.worker.load("stuck")
    with pytest.raises(EngineError, match="would not let go"):
        await client.worker.unload("stuck")
    (status,) = [status for status in await client.worker.models() if status.info.model_id == "stuck"]
    assert (status.state, worker.manager.resident()) == ("failed", ("tone",))
    assert "would not let go" in status.error
    assert (worker.manager.counters.unloads, worker.manager.counters.unload_failures) == (0, 1)
    assert (await bench.speak(client, "Hello.", model="stuck"))[-1].final


async def test_an_end_that_is_hurried_late_in_a_drain_still_frees_every_model(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    await bench.client(worker).worker.load("speech")
    draining = asyncio.ensure_future(worker.drain())
    while worker._server is not None:
        await asyncio.sleep(0)
    draining.cancel()
    await worker.aclose()
    assert worker.manager.counters.unloads == worker.manager.counters.loads == 2


async def test_models_that_are_freed_at_the_end_count_as_unloaded(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    await bench.client(worker).worker.load("speech")
    await worker.aclose()
    assert (worker.manager.counters.loads, worker.manager.counters.unloads) == (2, 2)


async def test_no_load_begins_while_a_worker_ends(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow", "speech"))  # one load at a time: the second one waits
    loads = [asyncio.ensure_future(worker.manager.load(name)) for name in ("slow", "speech")]
    await bench.until(lambda: worker.manager._policy.waiting == 2)
    await worker.aclose()
    assert all(isinstance(end, CapacityError) for end in await asyncio.gather(*loads, return_exceptions=True))
    assert worker.manager.counters.unloads == worker.manager.counters.loads == 2
    assert not worker.manager._pools


async def test_a_client_that_is_closed_holds_no_model_not_even_one_it_spoke_with_before(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    client = bench.client(worker)
    before = bench.start(client, LONG, model="slow", utterance="1")
    await bench.take(before, 1)
    await bench.speak(client, "Hello.", model="tone", utterance="2")
    assert worker.servicer.capabilities().sessions == 2
    await client.aclose()
    assert worker.servicer.capabilities().sessions == 0
    await before.aclose()


async def test_a_session_that_is_ended_before_its_model_is_there_never_opens(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    request = pb.StartSessionRequest(session_id="s", voice=pb.Voice(model_id="speech"))
    opening = asyncio.ensure_future(worker.servicer.start_session(request))
    await bench.until(lambda: worker.manager._policy.waiting == 1)
    await worker.servicer.end_session(pb.EndSessionRequest(session_id="s"))
    with pytest.raises(PreconditionFailed, match="ended before"):
        await opening
    assert worker.servicer.capabilities().sessions == 0
    await worker.manager.unload("speech")


async def test_many_who_want_a_model_load_it_once(bench: Any) -> None:
    catalog = EngineCatalog("speech")
    worker = await bench.worker(catalog)
    client = bench.client(worker)
    await asyncio.gather(*(bench.speak(client, "Hello.", model="speech", session=f"s{n}") for n in range(6)))
    assert worker.manager.counters.loads == 2


async def test_a_reload_takes_effect_for_new_sessions_and_drops_no_frame(bench: Any) -> None:
    catalog = EngineCatalog("slow")
    worker = await bench.worker(catalog)
    client = bench.client(worker)
    speaking = bench.start(client, LONG, model="slow", session="a")
    heard = await bench.take(speaking, 1)
    await client.worker.reload("slow")
    assert (await bench.speak(client, "New.", model="slow", session="b"))[-1].final
    heard += await bench.rest(speaking)
    assert [frame.sequence for frame in heard] == list(range(len(heard)))
    await client.end_session("a")
    await bench.until(lambda: worker.manager.counters.unloads == 1)


async def test_a_failed_reload_keeps_what_was_serving(bench: Any) -> None:
    catalog = EngineCatalog("speech")
    client = bench.client(await bench.worker(catalog))
    await bench.speak(client, "Hello.", model="speech", session="a")
    catalog.failing.add("speech")
    with pytest.raises(ConfigError, match=r"weights\.onnx"):
        await client.worker.reload("speech")
    assert (await bench.speak(client, "Hello.", model="speech", session="b"))[-1].final


async def test_an_idle_model_leaves(bench: Any) -> None:
    models = ModelSettings("tone", ttl_ms=50, evict_check_interval_ms=20, min_residency_ms=0)
    worker = await bench.worker(EngineCatalog("speech"), models)
    await bench.client(worker).worker.load("speech")
    await bench.until(lambda: worker.manager.resident() == ("tone",))
    assert worker.manager.counters.evictions == 1


async def test_a_forgotten_session_is_closed(bench: Any) -> None:
    worker = await bench.worker(session_idle_ms=1_000)
    await bench.speak(bench.client(worker), "Hello.")
    await bench.until(lambda: worker.servicer.capabilities().sessions == 0)


async def test_a_client_that_vanishes_leaves_nothing_behind(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    client = bench.client(worker)
    speaking = bench.start(client, LONG * 4, model="slow")
    await bench.take(speaking, 1)
    await bench.vanish(client)
    await bench.until(lambda: not worker.servicer.sessions.speaking)
    await speaking.aclose()


async def test_an_engine_process_killed_while_idle_is_back_for_the_next_utterance(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech", isolated=True))
    client = bench.client(worker)
    await bench.speak(client, "Hello.", model="speech", utterance="1")
    engines = [engine for pool in worker.manager._pools.values() for engine in pool._engines]
    for engine in engines:
        os.kill(engine.pid, signal.SIGKILL)
    await bench.until(lambda: all(engine.restarts == 1 for engine in engines))
    assert (await bench.speak(client, "Hello.", model="speech", utterance="2"))[-1].final


async def test_an_isolated_engine_gives_the_same_bytes_as_one_inside(bench: Any) -> None:
    inside = bench.client(await bench.worker(EngineCatalog("speech")))
    outside = bench.client(await bench.worker(EngineCatalog("speech", isolated=True)))
    expected = await bench.speak(inside, LONG, model="speech")
    assert [f.pcm for f in await bench.speak(outside, LONG, model="speech")] == [f.pcm for f in expected]


SCRIPT = """
import asyncio
from parley.testing.engines import EngineCatalog
from parley.worker.server import serve
from parley.worker.settings import ModelSettings, WorkerSettings

async def ready(worker):
    print(worker.address, worker.local_socket, flush=True)

settings = WorkerSettings(port=0, models=ModelSettings("tone"))
clean = asyncio.run(serve(settings, EngineCatalog("slow", isolated=True), ready=ready))
print("clean" if clean else "cut", flush=True)
"""


class _Elsewhere:
    """A worker in another process, by what it has printed."""

    def __init__(self, line: bytes) -> None:
        self.address, self.local_socket = line.decode().split()


async def test_sigterm_lets_a_worker_process_finish_its_utterance(bench: Any) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    client = bench.client(_Elsewhere(await process.stdout.readline()))
    speaking = bench.start(client, LONG, model="slow")
    heard = await bench.take(speaking, 1)
    process.send_signal(signal.SIGTERM)
    heard += await bench.rest(speaking)
    assert heard[-1].final
    assert (await process.stdout.read()).decode().strip() == "clean"
    assert await process.wait() == 0


async def test_a_killed_worker_takes_its_engine_processes_with_it(bench: Any) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    client = bench.client(_Elsewhere(await process.stdout.readline()))
    speaking = bench.start(client, LONG, model="slow")
    await bench.take(speaking, 1)
    process.kill()
    with pytest.raises(UnavailableError):
        await bench.rest(speaking)
    await process.wait()


async def test_a_model_whose_adapter_can_not_even_be_made_fails_at_once_and_others_go_on(bench: Any) -> None:
    class Unmakeable(EngineCatalog):
        def create(self, model_id: str) -> TtsAdapter:
            if model_id == "slow":
                raise AttributeError("no such option")
            return super().create(model_id)

    client = bench.client(await bench.worker(Unmakeable("slow")))
    async with asyncio.timeout(5):
        with pytest.raises(EngineError, match=r"The model slow can not be loaded.*no such option"):
            await client.worker.load("slow")
        assert (await bench.rest(bench.start(client, LONG)))[-1].final
