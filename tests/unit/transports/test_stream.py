"""The account of a voice on a stream that never stops, without a wire."""

from __future__ import annotations

import pytest

from parley.audio.frame import FRAME_SAMPLES, AudioFrame
from parley.errors import UnavailableError
from parley.messages import ClearAudio, PauseAudio, PlayoutReport, ResumeAudio, ServerMessage
from parley.transports.stream import StreamTransport
from parley.values import PlayoutPosition

pytestmark = pytest.mark.anyio

DELAY = 960


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Wireless(StreamTransport):
    """Keeps what it should send."""

    def __init__(self, *, reports: bool = True) -> None:
        super().__init__(DELAY)
        self._reports = reports
        self.posted: list[ServerMessage] = []
        self.hung_up = 0

    def _post(self, message: ServerMessage) -> None:
        self.posted.append(message)

    async def _hang_up(self) -> None:
        self.hung_up += 1

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
