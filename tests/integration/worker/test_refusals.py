"""What a worker refuses, with which error, and that nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from parley.errors import (
    CapacityError,
    ConfigError,
    EngineError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    UnavailableError,
)
from parley.rpc.client import GrpcSynthesizer
from parley.rpc.gen import tts_pb2 as pb
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.settings import ModelSettings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("text", ["", "  \n ", "a" * 100_000])
async def test_text_that_is_empty_or_too_long_is_an_invalid_request(bench: Any, text: str) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(InvalidRequest):
        await bench.speak(client, text)


async def test_a_refused_text_leaves_the_session_as_it_was(bench: Any) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(InvalidRequest):
        await bench.speak(client, "a " * 50_000, utterance="1")
    assert (await bench.speak(client, "Hello.", utterance="2"))[-1].final


async def test_text_that_is_not_utf_8_is_an_invalid_request(bench: Any) -> None:
    worker = await bench.worker()
    async with grpc.aio.insecure_channel(worker.address) as channel:
        call = channel.stream_stream("/parley.tts.v1.TtsService/Synthesize")()
        good = pb.SynthesizeRequest(session_id="s", utterance_id="u", text="abc").SerializeToString()
        await call.write(good.replace(b"abc", b"a\xff\xfe"))
        with pytest.raises(grpc.aio.AioRpcError, match="UTF-8") as refused:
            await call.read()
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stream_whose_first_message_never_comes_is_closed(bench: Any) -> None:
    worker = await bench.worker(first_message_ms=50)
    async with asyncio.timeout(10):
        call = (await bench.stub(worker)).Synthesize()
        with pytest.raises(grpc.aio.AioRpcError, match="No first message came") as refused:
            await call.read()
    assert refused.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_text_may_come_later_than_the_first_message_has_to(bench: Any) -> None:
    client = bench.client(await bench.worker(first_message_ms=50))

    async def slowly() -> Any:
        yield "Hello there. "
        await asyncio.sleep(0.2)  # the time that passes is what is tested
        yield "And more."

    frames = await bench.rest(client.synthesize(slowly(), voice=Voice(), session_id="s", utterance_id="u"))
    assert frames[-1].final


async def test_bytes_that_are_no_message_are_an_invalid_request(bench: Any) -> None:
    worker = await bench.worker()
    async with grpc.aio.insecure_channel(worker.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/parley.tts.v1.TtsService/StartSession")(b"\xff\xff\xff")
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("voice", "error"),
    [
        (Voice("nothing"), NotFound),
        (Voice(speed=9), InvalidRequest),
        (Voice(speed=float("nan")), InvalidRequest),
        (Voice(lora="mine"), InvalidRequest),
    ],
)
async def test_a_voice_that_is_not_there_is_refused(bench: Any, voice: Voice, error: type[Exception]) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(error):
        await bench.speak(client, "Hello.", voice=voice)


async def test_no_other_voice_speaks_in_the_place_of_a_broken_one(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("broken")))
    with pytest.raises(ConfigError, match=r"weights\.onnx"):
        await bench.speak(client, "Hello.", model="broken")
    (status,) = [s for s in await client.worker.models() if s.info.model_id == "broken"]
    assert status.state == "failed"
    assert "weights.onnx" in status.error


async def test_a_session_keeps_its_model(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    stub = await bench.stub(worker)
    await stub.StartSession(pb.StartSessionRequest(session_id="s"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.StartSession(pb.StartSessionRequest(session_id="s", voice=pb.Voice(model_id="speech")))
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    call = stub.Synthesize()
    voice = pb.Voice(model_id="speech")
    await call.write(pb.SynthesizeRequest(session_id="s", utterance_id="u", text="Hi.", voice=voice))
    assert await call.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_an_utterance_id_is_spoken_once_at_a_time(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow")))
    first = bench.start(client, "A longer text. " * 9, model="slow")
    await bench.take(first, 1)
    with pytest.raises(PreconditionFailed):
        await bench.speak(client, "Again.", model="slow")
    await first.aclose()


async def test_more_sessions_than_allowed_are_refused_with_a_delay(bench: Any) -> None:
    client = bench.client(await bench.worker(max_sessions=2))
    for session in ("1", "2"):
        await bench.speak(client, "Hello.", session=session)
    with pytest.raises(CapacityError) as refused:
        await bench.speak(client, "Hello.", session="3")
    assert refused.value.retry_after > 0
    assert (await client.worker.capabilities(timeout=5)).refused == 1
    await client.end_session("1")
    assert (await bench.speak(client, "Hello.", session="3"))[-1].final


async def test_more_waiting_utterances_than_allowed_are_refused_with_a_delay(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"), max_queue=2)
    client = bench.client(worker)
    long = "A text without any end to it " * 10
    held = [bench.start(client, long, model="slow", session=f"s{n}") for n in range(3)]
    stats = worker.servicer.stats
    await bench.until(lambda: stats.utterances == 3 and stats.queue_depth == 2)
    with pytest.raises(CapacityError) as refused:
        await bench.speak(client, "Hello.", model="slow", session="late")
    delay = refused.value.retry_after
    assert delay > 0
    assert str(refused.value).startswith("All engines are busy and 2 more utterances wait for one")
    assert f"try again in {delay:.1f} s" in str(refused.value)
    for synthesis in held:
        await synthesis.aclose()
    await bench.until(lambda: stats.queue_depth == 0)


async def test_a_full_memory_refuses_with_a_delay_and_takes_the_model_later(bench: Any) -> None:
    models = ModelSettings(default_model="tone", resident_cap=2, min_residency_ms=0, wait_ms=50)
    client = bench.client(await bench.worker(EngineCatalog("speech-1", "speech-2"), models))
    holding = bench.start(client, "One.", session="a")
    await bench.take(holding, 1)
    await bench.speak(client, "Two.", model="speech-1", session="b")
    with pytest.raises(CapacityError) as refused:
        await bench.speak(client, "Three.", model="speech-2", session="c")
    assert refused.value.retry_after > 0
    assert (await client.worker.capabilities(timeout=5)).refused == 1
    await client.end_session("b")
    assert (await bench.speak(client, "Three.", model="speech-2", session="c"))[-1].final
    await holding.aclose()


async def test_a_reload_without_room_for_both_says_so_and_the_model_serves_on(bench: Any) -> None:
    models = ModelSettings("tone", pinned_models=("tone",), memory_budget_bytes=250_000_000, wait_ms=50)
    client = bench.client(await bench.worker(EngineCatalog("speech", memory_bytes=100_000_000), models))
    await client.worker.load("speech")
    with pytest.raises(CapacityError, match="beside the one that serves"):
        await client.worker.reload("speech")
    assert (await bench.speak(client, "Hello.", model="speech"))[-1].final


async def test_a_model_larger_than_the_budget_is_refused(bench: Any) -> None:
    models = ModelSettings(default_model="tone", memory_budget_bytes=1_500_000)
    catalog = EngineCatalog("speech", memory_bytes=1_000_000)
    catalog.sizes["speech"] = 2_000_000
    client = bench.client(await bench.worker(catalog, models))
    with pytest.raises(CapacityError, match="budget"):
        await client.worker.load("speech")


async def test_an_engine_that_raises_fails_its_utterance_alone(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("crash")))
    with pytest.raises(EngineError, match="out of phonemes"):
        await bench.speak(client, "Please raise.", model="crash", utterance="1")
    assert (await bench.speak(client, "Hello.", model="crash", utterance="2"))[-1].final


@pytest.mark.parametrize("how", ["crash", "leave"])
async def test_an_engine_process_that_dies_fails_its_utterance_alone(bench: Any, how: str) -> None:
    client = bench.client(await bench.worker(EngineCatalog("crash")))
    with pytest.raises(EngineError, match="died"):
        await bench.speak(client, f"Please {how}.", model="crash", session="a")
    answers = await asyncio.gather(
        bench.speak(client, "Hello.", model="crash", session="b"),
        bench.speak(client, "And I.", session="c"),
    )
    assert all(frames[-1].final for frames in answers)


async def test_utterances_in_the_queue_survive_the_death_of_their_engine_process(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("crash")))
    await client.prepare(voice=Voice("crash"), session_id="a")
    results = await asyncio.gather(
        bench.speak(client, "Please crash.", model="crash", session="a"),
        *(bench.speak(client, "Hello.", model="crash", session=f"b{n}") for n in range(3)),
        return_exceptions=True,
    )
    assert isinstance(results[0], EngineError)
    assert all(frames[-1].final for frames in results[1:])


async def test_a_worker_that_is_not_there_is_unavailable(bench: Any) -> None:
    client = GrpcSynthesizer("127.0.0.1:9")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        await bench.speak(client, "Hello.")
    await client.aclose()


async def test_a_session_that_the_worker_forgot_is_opened_again_for_the_next_utterance(bench: Any) -> None:
    worker = await bench.worker()
    client = bench.client(worker)
    await bench.speak(client, "Hello.", utterance="1")
    worker.servicer.close()
    with pytest.raises(NotFound):
        await bench.speak(client, "Hello.", utterance="2")
    assert (await bench.speak(client, "Hello.", utterance="3"))[-1].final
