"""A worker's socket: who may use it, what may go wrong with it, and that nobody hears a difference."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from pathlib import Path
from typing import Any

import grpc
import pytest

from parley.errors import UnavailableError
from parley.rpc.client import GrpcSynthesizer
from parley.rpc.gen import tts_pb2 as pb
from parley.rpc.local import calls
from parley.rpc.local.calls import LocalChannel
from parley.rpc.local.folder import bind, find, folder_here, new_name
from parley.rpc.local.frames import GREETING, HELLO, WINDOW, frame
from parley.testing.engines import EngineCatalog
from parley.values import Voice
from parley.worker import local_wire
from parley.worker.settings import SynthesisSettings

pytestmark = pytest.mark.anyio
LONG = "This is one sentence of many. " * 12


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    return folder_here()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Bytes:
    """A message that is none."""

    def __init__(self, data: bytes) -> None:
        self.SerializeToString = lambda: data


# --- who may use it ----------------------------------------------------------------------


async def test_the_socket_lies_where_nobody_else_may_look_and_leaves_with_the_worker(bench: Any, folder: Path) -> None:
    worker = await bench.worker()
    path = find(worker.local_socket)
    assert path is not None
    assert (mode(folder), mode(path)) == (0o700, 0o600)
    await worker.aclose()
    assert find(worker.local_socket) is None
    assert not list(folder.iterdir())


async def test_what_a_killed_worker_has_left_is_removed_and_what_another_one_uses_is_not(
    bench: Any, folder: Path
) -> None:
    one = await bench.worker()
    left, path = bind(new_name())
    left.close()  # as the kernel does for a process that is killed: the file stays
    assert path.exists()
    two = await bench.worker()
    assert {each.name for each in folder.iterdir()} == {one.local_socket, two.local_socket}
    assert (await bench.speak(bench.client(one), "Hello."))[-1].final


async def test_a_folder_that_others_may_enter_is_not_used_and_the_worker_speaks_over_grpc(
    bench: Any, folder: Path
) -> None:
    folder.mkdir(mode=0o755)
    worker = await bench.worker()
    assert worker.local_socket == ""
    assert (await bench.speak(bench.client(worker), "Hello."))[-1].final


@pytest.mark.parametrize("name", ["", "../1-" + "a" * 32, "/tmp/x", "1-" + "a" * 32 + "/", "1-" + "a" * 31])
async def test_a_worker_can_lead_nobody_out_of_that_folder(folder: Path, name: str) -> None:
    folder.mkdir(mode=0o700)
    assert find(name) is None


async def test_what_is_no_socket_or_not_private_is_not_opened(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    file, listening = new_name(), new_name()
    (folder / file).touch()
    assert find(file) is None
    listener, path = bind(listening)
    with contextlib.closing(listener):
        assert find(listening) == path
        folder.chmod(0o770)
        assert find(listening) is None


async def test_it_can_be_switched_off(bench: Any) -> None:
    worker = await bench.worker(local_wire=False)
    assert worker.local_socket == ""
    assert (await bench.speak(bench.client(worker), "Hello."))[-1].final


async def test_calls_without_the_key_are_refused_on_the_socket_too(bench: Any) -> None:
    stub = await bench.stub(await bench.worker(api_key="secret"))
    for metadata in ((), (("authorization", "Bearer guess"),), (("authorization", "Bearer \ud800"),)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.StartSession(pb.StartSessionRequest(session_id="s"), metadata=metadata)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    right = (("authorization", "Bearer secret"),)
    assert await stub.StartSession(pb.StartSessionRequest(session_id="s"), metadata=right)


async def test_one_connection_too_many_is_hung_up_on(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_wire, "MOST_CONNECTIONS", 1)
    worker = await bench.worker()
    stub = await bench.stub(worker)
    path = find(worker.local_socket)
    assert path is not None
    with pytest.raises(ConnectionError):
        await LocalChannel().connect(path)
    assert await stub.StartSession(pb.StartSessionRequest(session_id="s"))


@pytest.mark.parametrize("turns", range(8))
async def test_whoever_connects_while_the_worker_ends_is_hung_up_on(bench: Any, turns: int) -> None:
    """Told apart by turns of the loop: how far the worker's end of the connection has been made by then."""
    worker = await bench.worker()
    path = find(worker.local_socket)
    assert path is not None
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        caller.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await worker.aclose()
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                while await asyncio.get_running_loop().sock_recv(caller, 4096):
                    pass
    assert not [peer for peer in worker._local._peers if not peer.connection.lost]


# --- what may go wrong -------------------------------------------------------------------


async def test_a_worker_whose_socket_is_gone_speaks_over_grpc(bench: Any) -> None:
    worker = await bench.worker()
    path = find(worker.local_socket)
    assert path is not None
    path.unlink()
    client = GrpcSynthesizer(worker.address, local_socket=worker.local_socket)
    assert (await bench.speak(client, "Hello."))[-1].final
    assert not client._stub.is_local
    await client.aclose()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9])
async def test_a_socket_at_which_somebody_else_listens_is_not_used(
    bench: Any, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    monkeypatch.setattr(calls, "GREETING_LIMIT", 0.05)
    worker, name = await bench.worker(), new_name()
    async with answering(name, says):
        client = GrpcSynthesizer(worker.address, local_socket=name)
        assert (await bench.speak(client, "Hello."))[-1].final
        assert not client._stub.is_local
        await client.aclose()


async def test_a_worker_that_does_not_answer_in_time_has_failed_the_call() -> None:
    async with answering(new_name(), frame(HELLO, 0, GREETING)) as path:
        channel = LocalChannel()
        await channel.connect(path)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await channel.EndSession(pb.EndSessionRequest(session_id="s"), timeout=0.05)
        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        channel.close()


async def test_an_orchestrator_that_talks_nonsense_is_hung_up_on_and_others_go_on(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    speaking = bench.start(bench.client(worker), LONG, model="slow")
    heard = await bench.take(speaking, 1)
    path = find(worker.local_socket)
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", frame(HELLO, 0, GREETING) + frame(1, 1, b"{}"), b"\xff" * 64):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(nonsense)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):  # what was not read before it hung up is told so
                await reader.read(-1)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    heard += await bench.rest(speaking)
    assert [each.sequence for each in heard] == list(range(len(heard)))


async def test_bytes_that_are_no_message_and_calls_that_there_are_not_are_invalid_requests(bench: Any) -> None:
    stub = await bench.stub(await bench.worker())
    with pytest.raises(grpc.aio.AioRpcError, match="UTF-8") as refused:
        await stub.StartSession(Bytes(b"\xff\xff\xff"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError, match="no call") as refused:
        await stub._ask("Nothing", Bytes(b""), pb.ControlResponse)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    good = pb.SynthesizeRequest(session_id="s", utterance_id="u", text="abc").SerializeToString()
    call = stub.Synthesize()
    await call.write(Bytes(good.replace(b"abc", b"a\xff\xfe")))
    with pytest.raises(grpc.aio.AioRpcError, match="UTF-8"):
        await call.read()


async def test_a_lost_connection_fails_what_is_spoken_and_the_next_session_connects_again(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    client = bench.client(worker)
    speaking = bench.start(client, LONG, model="slow", session="a")
    await bench.take(speaking, 1)
    client._stub._near.close()
    with pytest.raises(UnavailableError, match="closed its socket"):
        await bench.rest(speaking)
    await bench.until(lambda: not worker.servicer.sessions.speaking)
    assert (await bench.speak(client, "Hello.", session="a", utterance="2"))[-1].final  # over gRPC
    assert (await bench.speak(client, "Hello.", session="b"))[-1].final
    assert client._stub.is_local


async def test_who_gives_up_waiting_for_an_answer_leaves_the_connection_as_it_was(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("slow"))
    stub = await bench.stub(worker)
    asking = asyncio.ensure_future(
        stub.StartSession(pb.StartSessionRequest(session_id="s", voice=pb.Voice(model_id="slow")))
    )
    await bench.until(lambda: worker.manager._policy.waiting == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await stub.StartSession(pb.StartSessionRequest(session_id="t"))
    assert not stub._calls


# --- that nobody hears a difference ------------------------------------------------------


async def test_the_same_bytes_come_over_both_wires(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    far = GrpcSynthesizer(worker.address)
    expected = await bench.speak(far, LONG, model="speech", session="far")
    await far.aclose()
    assert await bench.speak(bench.client(worker), LONG, model="speech", utterance="u") == expected


async def test_audio_that_nobody_takes_waits_in_the_worker(bench: Any) -> None:
    worker = await bench.worker(EngineCatalog("speech"))
    client = bench.client(worker)
    whole = await bench.speak(client, LONG * 3, model="speech", utterance="whole")
    speaking = bench.start(client, LONG * 3, model="speech", utterance="held")
    heard = await bench.take(speaking, 1)
    (utterance,) = worker.servicer.sessions.find(speaking._session.wire_id).utterances.values()
    await bench.until(lambda: held_back(worker))
    assert utterance.last_sequence * 1920 < WINDOW + 20 * 1920
    heard += await bench.rest(speaking)
    assert [each.pcm for each in heard] == [each.pcm for each in whole]


async def test_more_text_than_the_window_holds_goes_through(bench: Any) -> None:
    settings = SynthesisSettings(max_text=1_000_000)
    worker = await bench.worker(synthesis=settings)
    client = bench.client(worker)
    pieces = ["a" * 30_000 + ". "] * 6
    speaking = client.synthesize(said(pieces), voice=Voice(), session_id="s", utterance_id="u")
    await bench.take(speaking, 1)
    (utterance,) = worker.servicer.sessions.find(speaking._session.wire_id).utterances.values()
    await bench.until(lambda: utterance._text_ended)
    assert utterance._text_length == sum(map(len, pieces)) > 2 * WINDOW
    await speaking.aclose()


async def test_many_utterances_share_one_connection_and_each_keeps_its_own_bytes(bench: Any) -> None:
    client = bench.client(await bench.worker(EngineCatalog("speech")))
    texts = [f"This is utterance number {number}. It is its own." for number in range(12)]
    alone = [await bench.speak(client, text, model="speech", utterance=f"a{i}") for i, text in enumerate(texts)]
    together = await asyncio.gather(
        *(bench.speak(client, text, model="speech", session=f"s{i}") for i, text in enumerate(texts))
    )
    assert [[each.pcm for each in frames] for frames in together] == [[each.pcm for each in f] for f in alone]
    assert len(client._stub._near._calls) == 0


def held_back(worker: Any) -> bool:
    """The worker waits for room to send."""
    streams = [stream for peer in worker._local._peers for stream in peer.connection.streams.values()]
    return any(stream._room is not None and not stream._room.done() for stream in streams)


async def said(pieces: list[str]) -> Any:
    for piece in pieces:
        yield piece


@contextlib.asynccontextmanager
async def answering(name: str, says: bytes) -> Any:
    """Somebody at a socket who says one thing and then listens."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            await reader.read(-1)

    listener, path = bind(name)
    server = await asyncio.start_unix_server(answer, sock=listener)
    try:
        yield path
    finally:
        server.close()
        path.unlink(missing_ok=True)
