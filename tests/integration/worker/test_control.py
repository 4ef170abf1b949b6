"""PAUSE, RESUME, STOP: exact to the frame, and nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from parley.errors import InvalidRequest, NotFound
from parley.rpc.gen import tts_pb2 as pb
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker.settings import SynthesisSettings

pytestmark = pytest.mark.anyio
TEXT = "Hello there, this is a longer text. It has two sentences."


def pcm(frames: Any) -> bytes:
    return b"".join(frame.pcm for frame in frames)


class Raw:
    """The service without our client in between."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    async def open(self, text: str, *, model: str = "", session: str = "s", utterance: str = "u") -> Any:
        await self.stub.StartSession(pb.StartSessionRequest(session_id=session, voice=pb.Voice(model_id=model)))
        call = self.stub.Synthesize()
        await call.write(pb.SynthesizeRequest(session_id=session, utterance_id=utterance, text=text))
        await call.done_writing()
        return call

    async def control(self, command: Any, *, session: str = "s", utterance: str = "u") -> int:
        request = pb.ControlRequest(session_id=session, utterance_id=utterance, command=command)
        return int((await self.stub.Control(request)).last_sequence)


@pytest.fixture
async def raw(bench: Any) -> Any:
    worker = await bench.worker(EngineCatalog("slow", "speech"))
    return Raw(await bench.stub(worker))


async def test_after_a_pause_no_frame_leaves_beyond_the_one_it_names(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow")))
    synthesis = bench.start(client, TEXT, model="slow")
    await bench.take(synthesis, 3)
    last = await synthesis.pause()
    sequence = 2
    while sequence < last:
        sequence = (await anext(synthesis)).sequence
    assert await bench.silent(synthesis)
    await synthesis.resume()
    assert (await bench.pending).sequence == last + 1
    await synthesis.aclose()


@pytest.mark.parametrize("model", ["tone", "speech", "slow"])
@pytest.mark.parametrize("position", [1, 2, 7, 40, 100])
async def test_a_paused_utterance_is_byte_identical_to_one_that_was_not(bench: Any, model: str, position: int) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow", "speech")))
    text = TEXT if model != "slow" else "Slow speech, forty."
    whole = await bench.speak(client, text, model=model, utterance="whole")
    synthesis = bench.start(client, text, model=model, utterance="held")
    frames = await bench.take(synthesis, min(position, len(whole) - 1))
    for _ in range(3):
        await synthesis.pause()
        await synthesis.pause()
        await synthesis.resume()
        frames += await bench.take(synthesis, 1) if len(frames) < len(whole) else []
    assert pcm(frames + await bench.rest(synthesis)) == pcm(whole)


async def test_a_pause_in_the_last_200_ms_loses_nothing(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    whole = await bench.speak(client, TEXT, model="speech", utterance="whole")
    synthesis = bench.start(client, TEXT, model="speech", utterance="held")
    frames = await bench.take(synthesis, len(whole) - 4)
    await synthesis.pause()
    await synthesis.resume()
    assert pcm(frames + await bench.rest(synthesis)) == pcm(whole)


async def test_a_pause_before_the_first_frame_holds_all_of_them(bench: Any) -> None:
    client = bench.client(await bench.worker())
    synthesis = bench.start(client, TEXT)
    assert await synthesis.pause() == -1
    assert await bench.silent(synthesis)
    await synthesis.resume()
    assert (await bench.pending).sequence == 0
    await synthesis.aclose()


async def test_a_pause_that_overtakes_its_utterance_holds_it_from_the_start(bench: Any, raw: Raw) -> None:
    await raw.stub.StartSession(pb.StartSessionRequest(session_id="s"))
    assert await raw.control(pb.CONTROL_COMMAND_PAUSE) == -1
    call = await raw.open(TEXT)
    reading = asyncio.ensure_future(call.read())
    done, _ = await asyncio.wait((reading,), timeout=0.2)
    assert not done
    await raw.control(pb.CONTROL_COMMAND_RESUME)
    assert (await reading).sequence == 0
    call.cancel()


async def test_stop_ends_the_stream_with_a_final_message_and_its_reason(raw: Raw) -> None:
    call = await raw.open(TEXT * 3, model="slow")
    await call.read()
    last = await raw.control(pb.CONTROL_COMMAND_STOP)
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    assert messages[-1].final
    assert messages[-1].finish_reason == pb.FINISH_REASON_STOPPED
    assert messages[-1].pcm == b""
    assert messages[-1].sequence == last + 1
    assert await call.code() == grpc.StatusCode.OK


async def test_stop_while_paused_ends_the_stream(raw: Raw) -> None:
    call = await raw.open(TEXT * 3, model="slow")
    await call.read()
    await raw.control(pb.CONTROL_COMMAND_PAUSE)
    await raw.control(pb.CONTROL_COMMAND_STOP)
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    assert messages[-1].finish_reason == pb.FINISH_REASON_STOPPED


async def test_a_completed_utterance_says_so_and_its_last_sequence_can_still_be_asked_for(raw: Raw) -> None:
    call = await raw.open("Hello.")
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    assert messages[-1].finish_reason == pb.FINISH_REASON_COMPLETED
    last = messages[-1].sequence + len(messages[-1].pcm) // 1920 - 1
    assert await raw.control(pb.CONTROL_COMMAND_PAUSE) == last


async def test_without_an_utterance_the_command_is_for_all_of_the_session(raw: Raw) -> None:
    first = await raw.open(TEXT * 3, model="slow", utterance="1")
    second = await raw.open(TEXT * 3, model="slow", utterance="2")
    await asyncio.gather(first.read(), second.read())
    assert await raw.control(pb.CONTROL_COMMAND_STOP, utterance="") >= 0
    for call in (first, second):
        messages = []
        while (message := await call.read()) is not grpc.aio.EOF:
            messages.append(message)
        assert messages[-1].finish_reason == pb.FINISH_REASON_STOPPED


async def test_end_session_stops_what_it_speaks_and_frees_the_model(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    raw = Raw(await bench.stub(worker))
    call = await raw.open(TEXT * 3, model="slow")
    await call.read()
    await raw.stub.EndSession(pb.EndSessionRequest(session_id="s"))
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    assert messages[-1].finish_reason == pb.FINISH_REASON_STOPPED
    assert {status.leases for status in worker.manager.statuses()} == {0}


@pytest.mark.parametrize("command", ["pause", "stop", "close"])
async def test_what_one_session_does_changes_no_byte_of_another(bench: Any, command: str) -> None:
    worker = await bench.worker(EngineCatalog("speech"), synthesis=SynthesisSettings(read_ahead=0.3))
    client, raw = bench.client(worker), Raw(await bench.stub(worker))
    alone = await bench.speak(client, TEXT * 4, model="speech", session="b", utterance="1")
    call = await raw.open(TEXT * 4, model="speech", session="a")
    await call.read()
    other = bench.start(client, TEXT * 4, model="speech", session="b", utterance="2")
    frames = await bench.take(other, 4)
    if command == "close":
        call.cancel()
    else:
        wanted = pb.CONTROL_COMMAND_PAUSE if command == "pause" else pb.CONTROL_COMMAND_STOP
        await raw.control(wanted, session="a")
    assert pcm(frames + await bench.rest(other)) == pcm(alone)


async def test_closing_an_utterance_ends_the_engine_work_within_a_chunk(bench: Any) -> None:
    catalog = EngineCatalog("slow")
    worker = await bench.worker(catalog)
    synthesis = bench.start(bench.client(worker), TEXT * 4, model="slow")
    await bench.take(synthesis, 2)
    speaking = next(adapter for adapter in catalog.created if adapter.info.model_id == "slow")
    await synthesis.aclose()
    await bench.until(lambda: speaking.closed == 1)
    made = speaking.chunks
    await asyncio.sleep(0.05)  # the time in which a voice that went on would have made more
    assert speaking.chunks == made
    assert worker.servicer.stats.queue_depth == 0


async def test_a_new_utterance_speaks_after_one_was_closed(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow")))
    synthesis = bench.start(client, TEXT * 4, model="slow", utterance="1")
    await bench.take(synthesis, 2)
    await synthesis.aclose()
    await synthesis.aclose()
    assert (await bench.speak(client, "Hello.", model="slow", utterance="2"))[-1].final


async def test_closing_ends_the_iteration_of_another_task(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("slow")))
    synthesis = bench.start(client, TEXT, model="slow")
    await synthesis.pause()
    listening = asyncio.ensure_future(bench.rest(synthesis))
    await asyncio.sleep(0.02)  # until the other task waits for a frame; nothing tells that it does
    await synthesis.aclose()
    assert all(not frame.final for frame in await listening)


async def test_a_forgotten_command_means_none(bench: Any) -> None:
    raw = Raw(await bench.stub(await bench.worker()))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await raw.control(pb.CONTROL_COMMAND_UNSPECIFIED)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_control_of_an_unknown_session_is_not_found(raw: Raw) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await raw.control(pb.CONTROL_COMMAND_PAUSE, session="nobody")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_reload_needs_a_model_that_exists(bench: Any) -> None:
    client = bench.client(await bench.worker())
    with pytest.raises(NotFound):
        await client.worker.reload("nothing")
    with pytest.raises(InvalidRequest):
        await client.worker.reload("")


async def test_a_voice_goes_with_each_utterance(bench: Any) -> None:
    client = bench.client(await bench.worker())
    slow = await bench.speak(client, "Extraordinarily.", voice=Voice(speed=0.5), utterance="1")
    fast = await bench.speak(client, "Extraordinarily.", voice=Voice(speed=2.0), utterance="2")
    assert len(slow) > 3 * len(fast)
