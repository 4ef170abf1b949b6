"""Events with mistakes in them: each is done or refused, and no session meets a fault of its own.

``PARLEY_TEST_MUTATED=40`` sends ten thousand.
"""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import random
from typing import Any

import numpy as np
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from parley.api.realtime.client_events import read
from parley.api.realtime.errors import ClientError
from parley.api.realtime.formats import Microphone
from parley.api.realtime.requests import Requests
from parley.api.realtime.session_object import SessionObject
from parley.orders import Manner, Refused
from parley.testing.conversation import Conversation, conversation
from parley.testing.fakes import FakeLanguageModel
from parley.values import ReplyPart, ToolCall, Voice

pytestmark = pytest.mark.anyio
SESSIONS, EVENTS = 8, 250
STRICT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
TEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
LOOK = {"type": "function", "name": "look", "description": "", "parameters": {"type": "object", "properties": {}}}
TOLD = {**LOOK, "parameters": {"properties": {"a": {"type": "string", "enum": ["b"]}}, "required": ["a"]}}
TURNS: list[Any] = [
    None,
    {"type": "semantic_vad", "eagerness": "high"},
    {"type": "server_vad", "create_response": False},
    {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 300},
]
IMAGE = "data:image/png;base64," + base64.b64encode(bytes.fromhex("89504e47") + bytes(56)).decode()
LOUD = np.full(12_000, 8_000, "<i2").tobytes()


def seeds(chance: random.Random, ids: list[str]) -> list[dict[str, Any]]:
    """Events as clients send them, on entries that there are."""
    some, modality = chance.choice([*ids, "nobody"]), [chance.choice(["text", "audio"])]
    sound = base64.b64encode(chance.choice([LOUD, bytes(24_000), LOUD[:333]])).decode()
    heard = {"input": {"turn_detection": chance.choice(TURNS)}}
    named, asked = {**TEXT, "id": f"mine_{chance.randrange(99)}"}, f"c{chance.randrange(9)}"
    cut = {"item_id": some, "content_index": 0, "audio_end_ms": chance.randrange(2_000)}
    beside = {"conversation": "none", "input": [TEXT], "output_modalities": ["text"]}
    told = {"input": [{"type": "item_reference", "id": some}], "tools": [LOOK], "tool_choice": "required"}
    result = {"type": "function_call_output", "call_id": "call", "output": "ok"}
    image = {"type": "input_image", "image_url": IMAGE}
    approval = {"type": "mcp_approval_response", "approval_request_id": some, "approve": True, "reason": "why not"}
    house = {"type": "mcp", "server_label": "house", "server_url": "http://127.0.0.1:9/mcp", "headers": {"X-A": "b"}}
    house |= {"allowed_tools": {"tool_names": ["look"], "read_only": True}, "require_approval": {"never": {}}}
    called = {"type": "function_call", "call_id": asked, "name": "look", "arguments": "{}"}
    return [
        {"type": "session.update", "session": {"type": "realtime", "audio": heard}},
        {"type": "session.update", "session": {"type": "realtime", "tools": [LOOK], "instructions": "Be kind."}},
        {"type": "session.update", "session": {"type": "realtime", "output_modalities": modality}},
        {"type": "session.update", "session": {"type": "realtime", "tracing": "auto", "include": [], "tools": [TOLD]}},
        {"type": "input_audio_buffer.append", "audio": sound},
        {"type": "input_audio_buffer.append", "audio": sound},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "conversation.item.create", "item": named, "previous_item_id": some},
        {
            "type": "conversation.item.create",
            "item": {**TEXT, "content": [image]},
        },
        {"type": "conversation.item.create", "item": approval},
        {"type": "session.update", "session": {"type": "realtime", "tools": [house]}},
        {"type": "conversation.item.create", "item": result},
        {"type": "conversation.item.create", "item": called},
        {"type": "conversation.item.retrieve", "item_id": some},
        {"type": "conversation.item.delete", "item_id": some},
        {"type": "conversation.item.truncate", **cut},
        {"type": "response.create"},
        {"type": "response.create", "response": beside},
        {"type": "response.create", "response": told},
        {"type": "response.cancel"},
        {"type": "output_audio_buffer.clear"},
    ]


DEEP: Any = "x"
for _ in range(300):
    DEEP = {"a": DEEP}
JUNK: list[Any] = [
    DEEP,
    None,
    True,
    -1,
    10**30,
    1.5,
    float("nan"),
    "",
    "\ud800",
    "x" * 300,
    [],
    {},
    [[]],
    {"type": "x"},
]


def mutated(event: dict[str, Any], chance: random.Random) -> str:
    """The event, perhaps with something in it changed, left out or added, perhaps cut in the middle."""
    event = copy.deepcopy(event)
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        place: Any = event
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], dict | list) and chance.random() < 0.7:
                place = place[key]
                continue
            action = chance.randrange(3)
            if action == 0:
                place[key] = copy.deepcopy(chance.choice(JUNK))
            elif action == 1:
                del place[key]
            elif isinstance(place, dict):
                place[chance.choice(["type", "id", "role", "content", "y"])] = copy.deepcopy(chance.choice(JUNK))
            break
    text = json.dumps(event)
    return text if chance.random() > 0.05 else text[: chance.randrange(len(text))]


class Client:
    """Sends events to a session as the transport does, and reads what becomes of them."""

    def __init__(self, talk: Conversation, *, paced: bool) -> None:
        numbers = itertools.count(1)
        session = SessionObject.new("realtime", "gpt-realtime")
        self.talk, self.refused, self.read = talk, 0, 0
        self.requests = Requests(session, lambda _: Voice(), lambda prefix: f"{prefix}_{next(numbers)}", paced=paced)
        self.events: list[dict[str, Any]] = []
        self._seen = self._said = 0

    async def send(self, text: str) -> None:
        asked = read(text)
        try:
            if asked.error is not None:
                raise asked.error
            assert asked.request is not None
            done = self.requests.take(asked.request, asked.event_id)
        except ClientError as error:
            self.refused += 1
            self.events.append(self.requests.events.error(error, asked.event_id))
            return
        self.read += 1
        self.events += done.events
        if done.audio is not None:
            await self.talk.participant.speak(Microphone(self.requests.input_format).samples(done.audio))
        for order in done.orders:
            self.talk.say(order)

    def take(self) -> None:
        """What the session has said since."""
        for _, notice in self.talk.told[self._seen :]:
            self.events += self.requests.events.notice(notice)
        self._seen = len(self.talk.told)
        messages = self.talk.participant.messages
        said, self._said = messages[self._said :], len(messages)
        for message in said:
            self.events += self.requests.events.message(message)

    def ids(self) -> list[str]:
        return [item.id for item in self.talk.engine.history.items]


def answer(said: str) -> list[ReplyPart] | str:
    return [ToolCall("call", "look", "{}")] if len(said) % 3 == 0 else "A reply of some words."


@pytest.mark.parametrize("seed", range(int(os.environ.get("PARLEY_TEST_MUTATED", SESSIONS))))
async def test_a_session_survives_whatever_its_client_sends(seed: int) -> None:
    chance = random.Random(seed)
    turns = [[(0.1, "so"), (0.4, f"so it is {number}")] for number in range(200)]
    async with conversation(manner=Manner(), turns=turns, language_model=FakeLanguageModel(answer=answer)) as talk:
        client, at = Client(talk, paced=seed % 2 == 1), 0.0
        for number in range(EVENTS):
            await client.send(mutated(chance.choice(seeds(chance, client.ids())), chance))
            at += chance.choice([0.0, 0.0, 0.02, 0.1, 1.5])
            await talk.until(at)
            if number % 50 == 0:
                client.take()
        await talk.until(at + 60)
        client.take()
        assert not talk.task.done()
        assert client.read > EVENTS // 4
        assert client.refused > EVENTS // 20
        assert {type(notice) for _, notice in talk.told} > {Refused}
        for event in client.events:
            STRICT.validate_python(event)
            json.dumps(event)
        begun = sum(event["type"] == "response.created" for event in client.events)
        done = sum(event["type"] == "response.done" for event in client.events)
        assert begun == done
