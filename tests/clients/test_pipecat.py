"""Parley's services in Pipecat itself, from the built wheel, against a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.clients.environments import HERE, Environments, Outcome, names, outcome
from tests.integration.people import running

from parley.audio.wav import write_wav
from parley.bench import speech

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.programs import Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
INSIDE = HERE / "pipecat" / "inside.py"
KEY = "a-key-of-the-test"
QUESTION = "What is the weather like today?"


def services(environments: Environments, folder: Path) -> Outcome:
    python = environments.python("pipecat")
    write_question(folder / "question.wav")
    with running(folder, "--set", f"server.api_key={KEY}") as parley:
        environ = {"PARLEY_TEST_URL": parley.url, "PARLEY_TEST_KEY": KEY, "PARLEY_TEST_FOLDER": str(folder)}
        return outcome(python, folder, str(INSIDE), "-o", "filterwarnings=default", environ=environ)


PROGRAMS = {"pipecat's services": services}


def write_question(path: Path) -> None:
    """At 48 kHz, without silence around it."""
    write_wav(path, speech.say(QUESTION), speech.RATE)


@pytest.mark.parametrize("name", names(INSIDE))
def test_pipecat(programs: Programs, name: str) -> None:
    programs["pipecat's services"].judge(name)
