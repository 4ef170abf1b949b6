"""The OpenAI bridge against a real HTTP server that streams, hangs, fails and talks rubbish."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from parley.errors import (
    CapacityError,
    ConfigError,
    InvalidRequest,
    NotFound,
    ParleyError,
    Unauthorized,
    UnavailableError,
)
from parley.llm import LlmSettings, OpenAiSettings, create_language_model
from parley.llm.prompt import UNSEEN
from parley.messages import ErrorMessage, ReplyEnded, TextInput
from parley.observability.logging import SPOKEN_FIELDS
from parley.session.settings import ReplySettings, SessionSettings
from parley.testing.conversation import conversation
from parley.values import ChatMessage, Deadlines, Image, Thinking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]

HELLO = (ChatMessage("user", "Hello"),)
SORRY = SessionSettings(reply=ReplySettings(apology="Sorry."))


class Endpoint:
    """A chat endpoint on loopback that behaves as a test tells it to."""

    def __init__(self, behave: Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.behave = behave
        self.bodies: list[Any] = []
        self.headers: list[str] = []
        self.gone = asyncio.Event()
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.headers.append(head)
            length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-l"))
            self.bodies.append(json.loads(await reader.readexactly(length)))
            work = asyncio.create_task(self.behave(self, writer))
            await reader.read()
            self.gone.set()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def endpoint(behave: Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]) -> AsyncGenerator[Endpoint]:
    it = Endpoint(behave)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield it
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)


async def send_head(writer: asyncio.StreamWriter, status: str = "200 OK", kind: str = "text/event-stream") -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


async def send_delta(writer: asyncio.StreamWriter, text: str | None) -> None:
    event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    writer.write(f"data: {json.dumps({**event, 'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n".encode())
    await writer.drain()


def failing(status: str, message: str) -> Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]:
    async def fail(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer, status, "application/json")
        writer.write(json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode())
        await writer.drain()
        writer.close()

    return fail


async def reply(base_url: str, history: tuple[ChatMessage, ...] = HELLO, **settings: Any) -> list[str]:
    options = OpenAiSettings(base_url=base_url, **settings)
    model = create_language_model(LlmSettings(engine="openai", openai=options))
    try:
        async with aclosing(model.reply(history)) as deltas:
            return [str(delta) async for delta in deltas]
    finally:
        await model.aclose()


async def test_deltas_arrive_as_they_are_sent() -> None:
    first_read = asyncio.Event()

    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, None)
        await send_delta(writer, "Good ")
        await first_read.wait()
        await send_delta(writer, "morning.")
        writer.write(b"data: [DONE]\n\n")
        writer.close()

    async with endpoint(behave) as it:
        model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
        async with aclosing(model.reply(HELLO)) as deltas:
            assert await anext(deltas) == "Good "
            first_read.set()
            assert [delta async for delta in deltas] == ["morning."]
        await model.aclose()


async def test_the_endpoint_is_sent_prompt_history_key_and_bounds() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, "Yes.")
        writer.close()

    sides = ("user", "assistant") * 3 + ("user",)
    history = tuple(ChatMessage(side, str(number)) for number, side in enumerate(sides))
    async with endpoint(behave) as it:
        await reply(
            it.base_url, history, system_prompt="Be kind.", history_messages=3, api_key="k1", max_tokens=9, model="tiny"
        )
        body = it.bodies[0]
    assert [message["content"] for message in body["messages"]] == ["Be kind.", "4", "5", "6"]
    assert (body["model"], body["max_tokens"], body["stream"], "temperature" in body) == ("tiny", 9, True, False)
    assert "Bearer k1" in it.headers[0]


async def test_a_prompt_of_the_session_replaces_ours() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, "Yes.")
        writer.close()

    async with endpoint(behave) as it:
        await reply(it.base_url, (ChatMessage("system", "Be brief."), *HELLO), history_messages=1)
        assert [message["content"] for message in it.bodies[0]["messages"]] == ["Be brief.", "Hello"]


async def test_closing_the_reply_hangs_up_on_the_endpoint() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        await send_delta(writer, "One")
        await asyncio.Event().wait()

    async with endpoint(behave) as it:
        model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
        async with aclosing(model.reply(HELLO)) as deltas:
            await anext(deltas)
        async with asyncio.timeout(5):
            await it.gone.wait()
        await model.aclose()


async def test_the_settings_say_how_long_a_reply_may_take() -> None:
    options = OpenAiSettings(first_timeout=60.0, delta_timeout=7.0, thinking_timeout=90.0)
    model = create_language_model(LlmSettings(engine="openai", openai=options))
    assert model.deadlines == Deadlines(first=60.0, between=7.0, thinking=90.0)
    await model.aclose()


@pytest.mark.parametrize("silent_after", [0, 1])
async def test_an_endpoint_that_hangs_is_given_up_and_apologised_for(silent_after: int) -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer)
        for _ in range(silent_after):
            await send_delta(writer, "One. Two. ")
        await asyncio.Event().wait()

    async with endpoint(behave) as it:
        options = OpenAiSettings(base_url=it.base_url, first_timeout=0.2, delta_timeout=0.2)
        model = create_language_model(LlmSettings(engine="openai", openai=options))
        async with conversation(language_model=cast("Any", model), settings=SORRY) as talk:
            talk.say(TextInput("hello"))
            await talk.heard_out()
            assert [error.code for error in talk.of(ErrorMessage)] == ["timed_out"]
            assert talk.of(ReplyEnded)[0].text.endswith("Sorry.")
        async with asyncio.timeout(5):
            await it.gone.wait()
        await model.aclose()


SECRETS = ("hush-key", "127.0.0.1", "it says why", "my words")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ("401 Unauthorized", Unauthorized, r"llm\.openai\.api_key"),
        ("404 Not Found", NotFound, "is not there"),
        ("429 Too Many Requests", CapacityError, "too many requests"),
        ("400 Bad Request", InvalidRequest, "refuses what it is asked"),
        ("500 Internal Server Error", UnavailableError, "status 500"),
    ],
)
async def test_a_refusal_is_told_in_a_sentence_and_its_own_words_go_to_the_log(
    status: str, kind: type[ParleyError], words: str
) -> None:
    with capture_logs() as logged:
        async with endpoint(failing(status, 'it says why: "my words" with hush-key')) as it:
            with pytest.raises(kind, match=words) as caught:
                await reply(it.base_url, api_key="hush-key")
    assert [secret for secret in SECRETS if secret in caught.value.message] == []
    (line,) = logged
    assert line["endpoint"].startswith(it.base_url)
    assert line["status"] == int(status[:3])
    assert "hush-key" not in str(line)
    assert {name for name, value in line.items() if "my words" in str(value)} <= SPOKEN_FIELDS
    assert ("my words" in str(line)) == (kind is not Unauthorized), "who refuses a key may repeat it"


async def test_a_name_and_password_in_the_address_stay_out_of_the_log() -> None:
    with capture_logs() as logged, pytest.raises(UnavailableError):
        await reply("http://ada:hush-key@127.0.0.1:9/v1?token=hush-key")
    assert "hush-key" not in str(logged)
    assert "127.0.0.1:9" in str(logged)


async def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await reply("http://127.0.0.1:9/v1")


async def test_a_connection_that_breaks_in_mid_reply_is_unavailable() -> None:
    async def behave(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
        await writer.drain()
        writer.close()

    async with endpoint(behave) as it:
        with pytest.raises(UnavailableError, match="broke off"):
            await reply(it.base_url)


def sending(
    *pieces: bytes, kind: str = "text/event-stream"
) -> Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]:
    async def send(_: Endpoint, writer: asyncio.StreamWriter) -> None:
        await send_head(writer, kind=kind)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return send


LAST = (
    b'data: {"choices": [{"index": 0, "delta": null, "finish_reason": "stop"}]}\n\n',
    b'data: {"choices": [{"index": 0, "finish_reason": "stop"}]}\n\n',
    b'data: {"choices": []}\n\n',
    b'data: {"usage": {"total_tokens": 3}}\n\n',
    b": keep-alive\n\n",
    b"",
)


@pytest.mark.parametrize("last", LAST)
async def test_a_last_chunk_without_a_delta_is_no_error(last: bytes) -> None:
    hello = b': cold\n\ndata: {"choices": [{"delta": {"content": "Hello."}}]}\n\n'
    async with endpoint(sending(hello, last, b"data: [DONE]\n\n")) as it:
        assert await reply(it.base_url) == ["Hello."]


async def test_reasoning_is_not_said_and_is_a_sign_of_life() -> None:
    pieces = [
        b'data: {"choices": [{"delta": {"reasoning_content": "SECRET"}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "<thi"}}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "nk>SECRET</think>\\n\\nHello."}}]}\n\n',
    ]
    async with endpoint(sending(*pieces)) as it:
        assert await reply(it.base_url) == [str(Thinking()), str(Thinking()), "Hello."]


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
async def test_a_whole_completion_in_place_of_a_stream_is_said(kind: str) -> None:
    body = json.dumps({"object": "chat.completion", "choices": [{"message": {"content": "Hello."}}]}, indent=1)
    async with endpoint(sending(body.encode(), kind=kind)) as it:
        assert await reply(it.base_url) == ["Hello."]


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "my words", "type": "server_error"}}',
        b'data: {"choices": [{"delta": {"content": ""}}]}\n\ndata: {"error": {"message": "my words"}}\n\n',
        b'{"object": "error", "message": "my words", "code": 500}',
    ],
)
async def test_an_error_in_place_of_a_stream_is_told(body: bytes) -> None:
    async with endpoint(sending(body)) as it:
        with pytest.raises(UnavailableError, match="failed") as caught:
            await reply(it.base_url)
    assert "my words" not in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>It works: my words</body></html>",
        b'{"detail": "Not Found"}',
        b"data: {]\n\n",
        b"data: 5\n\n",
        b'data: {"choices": 7}\n\n',
        b"\xff\xfe\n\n",
    ],
)
async def test_what_is_no_chat_endpoint_is_told_in_a_sentence(body: bytes) -> None:
    async with endpoint(sending(body, kind="text/html")) as it:
        with pytest.raises(UnavailableError, match="no chat endpoint"):
            await reply(it.base_url)


@pytest.mark.parametrize("reason", ["stop", "content_filter", "tool_calls", "length"])
async def test_a_completion_without_a_word_is_told_and_apologised_for(reason: str) -> None:
    body = b'data: {"choices": [{"delta": {"content": ""}, "finish_reason": "%s"}]}\n\n' % reason.encode()
    async with endpoint(sending(body, b"data: [DONE]\n\n")) as it:
        model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=it.base_url)))
        async with conversation(language_model=cast("Any", model), settings=SORRY) as talk:
            talk.say(TextInput("hello"))
            await talk.heard_out()
            assert [error.code for error in talk.of(ErrorMessage)] == ["no_reply"]
            assert talk.synthesizer.spoken[0].text == "Sorry."
        await model.aclose()


async def test_a_greeting_and_two_turns_in_a_row_reach_a_strict_template_in_turn() -> None:
    history = (ChatMessage("assistant", "Good day."), *HELLO, ChatMessage("user", "Are you there?"))
    async with endpoint(sending(b'data: {"choices": [{"delta": {"content": "Yes."}}]}\n\n')) as it:
        await reply(it.base_url, history, system_prompt="Be kind.")
        messages = it.bodies[0]["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "Good day." in messages[0]["content"]
    assert messages[1]["content"] == "Hello\nAre you there?"


@pytest.mark.parametrize(
    "address", ["", "localhost:11434/v1", "http://", "http://[::1", "ftp://host/v1", "http://host:no/v1"]
)
async def test_an_address_that_is_none_is_told_at_the_start(address: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.openai\.base_url"):
        create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=address)))


async def test_a_key_that_can_be_none_is_told_at_the_start_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"llm\.openai\.api_key") as caught:
        create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(api_key="hush\nkey")))
    assert "hush" not in caught.value.message


def picky(*refusals: tuple[str, str]) -> Callable[[Endpoint, asyncio.StreamWriter], Awaitable[None]]:
    """It refuses what holds the first of a pair, with the second for a reason, and answers the rest."""

    async def behave(it: Endpoint, writer: asyncio.StreamWriter) -> None:
        sent = json.dumps(it.bodies[-1])
        for part, reason in refusals:
            if part in sent:
                await failing("400 Bad Request", reason)(it, writer)
                return
        await send_head(writer)
        await send_delta(writer, "Well.")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    return behave


def look(*images: str) -> ChatMessage:
    return ChatMessage("user", "Look.", images=tuple(Image(f"data:image/png;base64,{one}") for one in images))


async def asked_in_turn(base_url: str, *histories: tuple[ChatMessage, ...]) -> list[str]:
    model = create_language_model(LlmSettings(engine="openai", openai=OpenAiSettings(base_url=base_url)))
    answers = []
    try:
        for history in histories:
            async with aclosing(model.reply(history)) as deltas:
                answers.append("".join([str(delta) async for delta in deltas]))
    finally:
        await model.aclose()
    return answers


def shown(it: Endpoint) -> list[list[str]]:
    """The images of each request."""
    contents = [[m["content"] for m in body["messages"] if isinstance(m["content"], list)] for body in it.bodies]
    return [
        [part["image_url"]["url"].rpartition(",")[2] for content in one for part in content if "image_url" in part]
        for one in contents
    ]


async def test_an_endpoint_whose_model_does_not_look_says_so_once_and_is_told_in_words_from_then_on() -> None:
    async with endpoint(picky(("image_url", "This model does not support image input."))) as it:
        assert await asked_in_turn(it.base_url, (look("cat"),), (look("dog"),)) == ["Well.", "Well."]
    assert shown(it) == [["cat"], [], []]
    assert [body["messages"][-1]["content"] for body in it.bodies[1:]] == [f"Look. {UNSEEN}"] * 2


async def test_a_broken_image_is_told_in_words_and_costs_nobody_else_theirs() -> None:
    async with endpoint(picky(("broken", "Failed to load image: cannot identify image file"))) as it:
        histories = (look("broken"),), (look("cat"),), (look("broken"), look("cat"))
        assert await asked_in_turn(it.base_url, *histories) == ["Well."] * 3
    assert shown(it) == [["broken"], [], ["cat"], ["cat"]]
    assert it.bodies[1]["messages"][-1]["content"] == f"Look. {UNSEEN}"


async def test_of_two_images_neither_is_taken_for_the_broken_one() -> None:
    async with endpoint(picky(("broken", "Invalid image."))) as it:
        assert await asked_in_turn(it.base_url, (look("broken", "cat"),), (look("cat"),)) == ["Well."] * 2
    assert shown(it) == [["broken", "cat"], [], ["cat"]]


async def test_what_is_refused_without_its_images_too_is_refused() -> None:
    async with endpoint(failing("400 Bad Request", "Invalid image.")) as it:
        with pytest.raises(InvalidRequest, match="refuses what it is asked"):
            await asked_in_turn(it.base_url, (look("cat"),))
    assert shown(it) == [["cat"], []]


async def test_a_refusal_that_says_nothing_of_images_leaves_the_model_its_eyes() -> None:
    history = (ChatMessage("user", "Look.", images=(Image("data:image/png;base64,cat"),)),)
    async with endpoint(failing("400 Bad Request", "The context is too long.")) as it:
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="refuses what it is asked"):
                await reply(it.base_url, history)
    assert all(request["messages"][-1]["content"][1]["type"] == "image_url" for request in it.bodies)
