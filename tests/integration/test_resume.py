"""A second socket goes on with a session whose first one hangs."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.session.test_host import house
from websockets.asyncio.client import connect

from parley.server.app import create_app
from parley.testing.echo_host import serving
from parley.testing.fakes import FakeLanguageModel

pytestmark = pytest.mark.anyio

STORY = "Once upon a time there was a king who had three daughters and no patience at all with any of them."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_second_socket_has_the_running_question_and_the_heard_words_while_the_first_one_hangs() -> None:
    async with house(max_sessions=1) as home, serving(create_app(home.host, page=None)) as url:
        model = home.host.parts.language_model
        assert isinstance(model, FakeLanguageModel)
        model.answer = lambda _: STORY
        async with connect(url + "/v1/session") as hung, asyncio.timeout(30):
            await hung.send('{"type": "start", "sample_rate": 16000}')
            session_id = json.loads(await hung.recv())["session_id"]
            await hung.send('{"type": "text", "text": "a story"}')
            for _ in range(50):  # a second of it
                while not isinstance(await hung.recv(), bytes):
                    pass
            hung.transport.pause_reading()  # a phone that lost its network says nothing more, and takes nothing
            async with connect(url + "/v1/session") as second:
                await second.send(json.dumps({"type": "start", "sample_rate": 16_000, "resume_session": session_id}))
                assert json.loads(await second.recv())["resumed"]
                await second.send('{"type": "text", "text": "go on"}')
                while len(model.asked) < 2:
                    await second.recv()
            hung.transport.resume_reading()
        question, answer, more = (message.text for message in model.asked[1])
        assert (question, more) == ("a story", "go on")
        assert answer
        assert STORY.startswith(answer)
        assert answer != STORY
