"""People who keep talking, recognisers that hang meanwhile, and somebody who listens or asks a short question."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.attacks.victim import (
    CONNECTIONS,
    Server,
    Undisturbed,
    attacked,
    nobody_waits,
    withstood,
)
from tests.integration.people import talking, text_of

from parley.bench.speech import say
from parley.messages import TranscriptUpdate

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator

    from tests.integration.people import Running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TALKERS = 3
"""One more than there are decoders."""
SECONDS = "3"
"""Longer than a recogniser may be silent over what it was given."""


def decoders(parley: Running) -> list[int]:
    """The processes that listen."""
    return [pid for pid in parley.children() if b"parley.asr.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def ask(parley: Running) -> None:
    """A short question, by voice: it is understood and answered to the end."""
    async with talking(parley) as participant:
        participant.speak(say("What time is it?"))
        heard = await participant.next(TranscriptUpdate, 60, final=True)
        text, ended = await text_of(participant)
    assert "time" in heard.text.lower()
    assert text.strip().startswith("It is ")
    assert ended.outcome == "finished"


@pytest.mark.parametrize("talkers", [TALKERS, CONNECTIONS])
async def test_people_who_keep_talking_make_nobody_wait(parley: Running, quiet: Undisturbed, talkers: int) -> None:
    await withstood(parley, quiet, "talk", SECONDS, str(talkers))


async def test_a_short_question_among_people_who_keep_talking_is_answered(parley: Running) -> None:
    async with attacked(Server(parley), "talk", "120", str(TALKERS)) as attack:
        async with asyncio.timeout(60):
            while Server(parley).metrics()["parley_sessions"] < TALKERS:
                await asyncio.sleep(0.05)
        await ask(parley)
        assert attack.returncode is None  # they still talk
        attack.kill()


async def test_recognisers_that_are_stopped_make_nobody_wait_and_are_replaced(
    parley: Running, quiet: Undisturbed
) -> None:
    stopped = []

    @contextlib.asynccontextmanager
    async def talkers_whose_recognisers_stop() -> AsyncGenerator[Process, None]:
        async with attacked(Server(parley), "talk", SECONDS, str(TALKERS)) as attack:
            found = decoders(parley)
            assert found
            for pid in found:
                os.kill(pid, signal.SIGSTOP)
            stopped.extend(found)
            yield attack

    await nobody_waits(Server(parley), quiet, talkers_whose_recognisers_stop)
    await ask(parley)
    async with asyncio.timeout(60):
        while set(stopped) & set(decoders(parley)):
            await asyncio.sleep(0.1)
