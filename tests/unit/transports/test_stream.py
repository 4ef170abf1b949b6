"""The account of a voice on a stream that never stops, without a wire."""

from __future__ import annotations

import pytest

from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.errors import InvalidRequest, UnavailableError
from parley.messages import (
    ClearAudio,
    ClientMessage,
    ErrorMessage,
    Interrupt,
    PauseAudio,
    Ping,
    PlayoutReport,
    Pong,
    ResumeAudio,
    ServerMessage,
    StartSession,
)
from parley.transports.bounds import ClientBounds, Uncounted
from parley.transports.client_settings import ClientSettings
from parley.transports.codec import encode
from parley.transports.stream import StreamTransport
from parley.values import PlayoutPosition

pytestmark = pytest.mark.anyio

DELAY = 960


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Wireless(StreamTransport):
    """Keeps what it should send."""

    def __init__(self, *, reports: bool = True, client: ClientBounds | None = None) -> None:
        super().__init__(DELAY, client or ClientBounds())
        self._reports = reports
        self.posted: list[ServerMessage] = []
        self.hung_up = 0

    def _post(self, message: ServerMessage) -> None:
        self.posted.append(message)

    def _begin(self, start: StartSession) -> None:
        raise InvalidRequest("The session has already started.")

    async def _hang_up(self) -> None:
        self.hung_up += 1

    def take(self, message: ClientMessage, times: int = 1) -> None:
        for _ in range(times):
            self._take_data(encode(message))

    async def speak(self, frames: int) -> None:
        for number in range(frames):
            await self.send_audio(
                AudioFrame(
                    bytes(2 * FRAME_SAMPLES), utterance_id="u1", sequence=number, start_sample=number * FRAME_SAMPLES
                )
            )

    def leave_frames(self, count: int) -> list[int]:
        """Take frames as the wire does; returns the sample at which each one starts."""
        starts = []
        for position in range(count):
            pcm, _ = self._queue.take(position * FRAME_SAMPLES)
            assert pcm is not None
            starts.append(self._queue.sent - FRAME_SAMPLES)
        return starts

    def report(self, sample: int, *, stopped: bool = False) -> PlayoutReport:
        return self._take_report(PlayoutReport("u1", sample, stopped=stopped))


async def test_a_reply_goes_on_from_the_sample_that_the_client_reached() -> None:
    transport = Wireless()
    await transport.speak(5)
    transport.leave_frames(4)
    await transport.pause_audio()
    transport.report(1_000, stopped=True)
    await transport.resume_audio()

    assert transport.posted == [PauseAudio("u1"), ResumeAudio("u1")]
    assert transport.leave_frames(1) == [1_000]


async def test_without_an_answer_it_goes_on_from_where_the_clock_says() -> None:
    transport = Wireless()
    await transport.speak(5)
    transport.leave_frames(4)
    paused = await transport.pause_audio()
    await transport.resume_audio()

    assert paused == PlayoutPosition("u1", 4 * FRAME_SAMPLES - DELAY)
    assert transport.leave_frames(1) == [4 * FRAME_SAMPLES - DELAY]


async def test_for_a_client_that_plays_whatever_arrives_it_goes_on_with_the_next_sample() -> None:
    transport = Wireless(reports=False)
    await transport.speak(5)
    transport.leave_frames(4)
    await transport.pause_audio()
    await transport.resume_audio()

    assert transport.leave_frames(1) == [4 * FRAME_SAMPLES]


async def test_nobody_hears_what_has_not_left() -> None:
    transport = Wireless()
    await transport.speak(2)
    transport.leave_frames(1)

    assert transport.report(48_000).sample == FRAME_SAMPLES
    assert transport.report(-5).sample == 0


async def test_the_answer_to_a_pause_is_exact_and_a_second_pause_changes_nothing() -> None:
    transport = Wireless()
    await transport.speak(3)
    transport.leave_frames(2)
    await transport.pause_audio()
    transport.report(700, stopped=True)

    assert await transport.pause_audio() == PlayoutPosition("u1", 700, exact=True)
    assert await transport.clear_audio() == PlayoutPosition("u1", 700, exact=True)
    assert transport.posted == [PauseAudio("u1"), ClearAudio("u1")]


async def test_reports_teach_how_long_the_way_is() -> None:
    transport = Wireless()
    await transport.speak(20)
    transport.leave_frames(10)
    for _ in range(40):
        transport.report(10 * FRAME_SAMPLES - 4_800)

    position = await transport.pause_audio()
    assert position.sample == pytest.approx(10 * FRAME_SAMPLES - 4_800, abs=8)


async def test_leaving_ends_the_iteration_and_the_wait_for_a_start() -> None:
    transport = Wireless()
    transport.leave()

    assert [item async for item in transport] == []
    with pytest.raises(UnavailableError):
        transport._start.result()


async def test_it_hangs_up_once_however_often_it_is_closed() -> None:
    transport = Wireless()
    await transport.aclose()
    await transport.aclose()

    assert transport.hung_up == 1


# --- what cannot be made to wait ------------------------------------------------------------


class Counted(Uncounted):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], float] = {}

    def excess(self, kind: str, fate: str, amount: float = 1) -> None:
        self.counts[kind, fate] = self.counts.get((kind, fate), 0) + amount


def bounded(**settings: float) -> tuple[Wireless, Counted]:
    tally = Counted()
    limits = ClientSettings(message_burst=10, message_rate=10, audio_burst=0.5, **settings)  # type: ignore[arg-type]
    return Wireless(client=ClientBounds(limits, tally)), tally


async def test_messages_that_come_too_quickly_are_dropped_counted_and_told_once() -> None:
    transport, tally = bounded()
    transport.take(Ping(1), 50)
    pongs = [message for message in transport.posted if isinstance(message, Pong)]
    (error,) = [message for message in transport.posted if isinstance(message, ErrorMessage)]
    assert (len(pongs), error.code, error.fatal) == (10, "too_many_requests", False)
    assert tally.counts == {("message", "dropped"): 40}


async def test_who_goes_on_sending_too_much_is_sent_away() -> None:
    transport, tally = bounded(patience=5)
    transport.take(Interrupt(), 200)
    last = transport.posted[-1]
    assert isinstance(last, ErrorMessage)
    assert (last.code, last.fatal) == ("too_many_requests", True)
    assert tally.counts["message", "closed"] == 1
    assert [item async for item in transport] == [Interrupt()] * 10


async def test_audio_that_comes_faster_than_real_time_is_dropped_and_counted() -> None:
    transport, tally = bounded()
    for _ in range(100):
        transport._take_audio(AudioFrame(bytes(1_920), 48_000))
    transport.leave()
    assert len([item async for item in transport]) == 25
    assert tally.counts["audio", "dropped"] == pytest.approx(1.5)


async def test_one_faulty_message_too_many_ends_the_session_as_on_every_transport() -> None:
    transport, tally = bounded(max_mistakes=3)
    for _ in range(4):
        transport._take_data("garbage")
    errors = [message for message in transport.posted if isinstance(message, ErrorMessage)]
    assert [error.fatal for error in errors] == [False, False, False, True]
    assert tally.counts == {("mistake", "closed"): 1}


@pytest.mark.parametrize("data", [b"\xff", "[" * 20_000, "x" * 70_000, '{"type": "start"}'])
async def test_a_faulty_message_gets_its_sentence_and_the_session_goes_on(data: str | bytes) -> None:
    transport, _ = bounded()
    transport._take_data(data)
    (error,) = transport.posted
    assert isinstance(error, ErrorMessage)
    assert (error.code, error.fatal) == ("invalid_request", False)
    assert error.message.endswith(".")
