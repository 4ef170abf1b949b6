"""Keys given to `parley up` reach its children without standing on their command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from tests.integration.people import running, talking, text_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def test_no_childs_command_line_holds_a_key(tmp_path: Path) -> None:
    keys = ("server.api_key=hush-client", "worker.api_key=hush-worker", "llm.openai.api_key=hush-model")
    with running(tmp_path, *(word for key in keys for word in ("--set", key))) as parley:
        below = psutil.Process(parley.process.pid).children(recursive=True)
        assert below
        assert [line for child in below if "hush" in (line := " ".join(child.cmdline()))] == []
        async with talking(parley, "hush-client") as participant:  # the worker asks for its key, and is given it
            await participant.type("What is two plus three?")
            text, _ = await text_of(participant)
    assert text.strip() == "Two plus three is 5."
