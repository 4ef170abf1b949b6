"""Stock clients of OpenAI's Realtime API against ours: they are judged by what the language model is told next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import soxr
from tests.clients.environments import HERE, Environments, Outcome, names, outcome
from tests.clients.recorder import recorder
from tests.integration.people import running

from parley.audio.wav import write_wav
from parley.bench import speech

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
KEY = "a-key-of-the-test"
RATE = 24_000
SAID = {
    "question": "What is the weather like today?",
    "interruption": "Wait, please stop, I have another question for you.",
    "nod": "uh huh",
}
CLIENTS = {
    "agents": ("realtime", HERE / "realtime" / "inside_agents.py"),
    "livekit": ("realtime", HERE / "realtime" / "inside_livekit.py"),
}
"""The environment and the tests of each."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str], None, None]:
    """A running Parley whose language model writes down what it is told: the settings of tests inside."""
    folder = tmp_path_factory.mktemp("realtime")
    write_speech(folder)
    with recorder() as model:
        options = (f"server.api_key={KEY}", "llm.engine=openai", f"llm.openai.base_url={model.url}")
        with running(folder, *(part for option in options for part in ("--set", option))) as parley:
            yield {
                "PARLEY_TEST_URL": parley.url,
                "PARLEY_TEST_KEY": KEY,
                "PARLEY_TEST_FOLDER": str(folder),
                "PARLEY_TEST_RECORDER": model.url,
            }


def write_speech(folder: Path) -> None:
    for name, text in SAID.items():
        write_wav(folder / f"{name}.wav", soxr.resample(speech.say(text), speech.RATE, RATE), RATE)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """What became of the tests of each client that have run."""
    return {}


TESTS = [(client, name) for client, (_, path) in CLIENTS.items() for name in names(path)]


@pytest.mark.parametrize(("client", "name"), TESTS)
def test_a_stock_client(
    client: str,
    name: str,
    outcomes: dict[str, Outcome],
    server: dict[str, str],
    environments: Environments,
    tmp_path: Path,
) -> None:
    if client not in outcomes:
        environment, path = CLIENTS[client]
        python = environments.python(environment)
        outcomes[client] = outcome(python, tmp_path, str(path), "-o", "filterwarnings=default", environ=server)
    outcomes[client].judge(name)
