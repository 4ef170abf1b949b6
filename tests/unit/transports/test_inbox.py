"""What waits to be read: in order, bounded, and read to the end after closing."""

from __future__ import annotations

import asyncio

import pytest

from parley.audio.frame import AudioFrame
from parley.errors import CapacityError
from parley.messages import TextInput
from parley.transports.inbox import AT_ONCE, Inbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def frame(sequence: int) -> AudioFrame:
    return AudioFrame(bytes(1920), sequence=sequence, start_sample=960 * sequence)


async def test_audio_and_messages_come_out_in_the_order_in_which_they_came() -> None:
    inbox = Inbox()
    inbox.put_audio(frame(0))
    inbox.put_message(TextInput("a"))
    inbox.put_audio(frame(1))
    inbox.close()
    assert [item async for item in inbox] == [frame(0), TextInput("a"), frame(1)]


async def test_a_reader_that_waits_is_woken() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(anext(inbox))
    await asyncio.sleep(0)
    inbox.put_message(TextInput("a"))
    assert await reading == TextInput("a")


async def test_a_reader_that_waits_sees_the_end() -> None:
    inbox = Inbox()
    reading = asyncio.ensure_future(anext(inbox, None))
    await asyncio.sleep(0)
    inbox.close()
    assert await reading is None


async def test_old_audio_gives_way_and_messages_stay() -> None:
    lost: list[float] = []
    inbox = Inbox(max_audio=0.05, lost=lost.append)
    inbox.put_message(TextInput("a"))
    for sequence in range(5):
        inbox.put_audio(frame(sequence))
    inbox.close()
    assert [item async for item in inbox] == [TextInput("a"), frame(3), frame(4)]
    assert lost == [frame(0).duration] * 3


async def test_too_many_messages_are_refused() -> None:
    inbox = Inbox(max_messages=1)
    inbox.put_message(TextInput("a"))
    with pytest.raises(CapacityError, match="more slowly"):
        inbox.put_message(TextInput("b"))


async def test_what_comes_after_the_end_is_ignored() -> None:
    inbox = Inbox()
    inbox.close()
    inbox.put_audio(frame(0))
    inbox.put_message(TextInput("a"))
    assert [item async for item in inbox] == []


async def test_a_reader_who_finds_much_leaves_room_for_others() -> None:
    inbox, turns = Inbox(), 0
    for sequence in range(4 * AT_ONCE):
        inbox.put_audio(frame(sequence))
    inbox.close()

    async def read() -> None:
        async for _ in inbox:
            pass

    reading = asyncio.create_task(read())
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 4
