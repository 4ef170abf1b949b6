"""Stock clients of OpenAI's Realtime API against ours: they are judged by what the language model is told next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import soxr
from tests.clients.environments import HERE, ROOT, Environments, Outcome, names, names_of_node, outcome, outcome_of_node
from tests.clients.recorder import recorder
from tests.clients.talk import INTO_IT
from tests.integration.people import running
from tests.integration.tools.house import house

from parley.audio.wav import write_wav
from parley.bench import speech
from parley.server.https import local_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.programs import Program, Programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KEY = "a-key-of-the-test"
RATE = 24_000
SAID = {
    "question": "What is the weather like today?",
    "interruption": INTO_IT,
    "nod": "uh huh",
}
CLIENTS = {
    "openai": ("python", HERE / "python" / "inside_openai.py"),
    "agents": ("realtime", HERE / "realtime" / "inside_agents.py"),
    "livekit": ("realtime", HERE / "realtime" / "inside_livekit.py"),
    "pipecat": ("pipecat", HERE / "pipecat" / "inside_realtime.py"),
    "agents.js": ("node", HERE / "node" / "agents.test.mjs"),
    "openai.js": ("node", HERE / "node" / "openai.test.mjs"),
}
"""The environment and the tests of each."""


def run(client: str, environments: Environments, folder: Path) -> Outcome:
    """The tests of a client, against a Parley of its own whose language model writes down what it is told."""
    environment, path = CLIENTS[client]
    write_speech(folder)
    identity = local_certificate(folder)
    with recorder() as model, house() as mcp:
        options = (f"server.api_key={KEY}", "llm.engine=openai", f"llm.openai.base_url={model.url}")
        options += (f'api.realtime.mcp_servers=["{mcp}"]',)
        with running(folder, *(part for option in options for part in ("--set", option))) as parley:
            settings = {
                "PARLEY_TEST_URL": parley.url,
                "PARLEY_TEST_KEY": KEY,
                "PARLEY_TEST_FOLDER": str(folder),
                "PARLEY_TEST_RECORDER": model.url,
                "PARLEY_TEST_MCP": mcp,
                "PARLEY_TEST_EXAMPLES": str(ROOT / "examples"),
                "PARLEY_TEST_TLS_CERT": identity.certificate.read_text("ascii"),
                "PARLEY_TEST_TLS_KEY": identity.key.read_text("ascii"),
            }
            if environment == "node":
                return outcome_of_node(environments.node(environment), path.name, settings)
            python = environments.python(environment)
            return outcome(python, folder, str(path), "-o", "filterwarnings=default", environ=settings)


PROGRAMS: dict[str, Program] = {client: partial(run, client) for client in CLIENTS}


def write_speech(folder: Path) -> None:
    for name, text in SAID.items():
        write_wav(folder / f"{name}.wav", soxr.resample(speech.say(text), speech.RATE, RATE), RATE)


def every_test() -> Iterator[tuple[str, str]]:
    """Client and test."""
    for client, (environment, path) in CLIENTS.items():
        for name in names_of_node(path) if environment == "node" else names(path):
            yield client, name


@pytest.mark.parametrize(("client", "name"), [*every_test()])
def test_a_stock_client(programs: Programs, client: str, name: str) -> None:
    programs[client].judge(name)
