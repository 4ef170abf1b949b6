"""Images come inside events, are what they say they are, and are shown to no model that does not look."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest

from parley.api.realtime.client_events import CreateItem, CreateResponse, read
from parley.api.realtime.entries import entry_from, shown
from parley.api.realtime.errors import ClientError
from parley.api.realtime.requests import Requests
from parley.api.realtime.session_object import SessionObject
from parley.conversation import Message
from parley.conversation.history import MOST_IMAGES
from parley.values import Image, Voice


def uri(kind: str = "png", beginning: bytes = b"\x89PNG", size: int = 60) -> str:
    data = beginning + bytes(size - len(beginning))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def item(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [*parts]}


def image(**more: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": uri(), **more}


@pytest.mark.parametrize(
    "url",
    [
        uri(),
        uri("jpeg", b"\xff\xd8\xff\xe0"),
        uri("gif", b"GIF89a"),
        uri("webp", b"RIFF\0\0\0\0WEBPVP8"),
        {"url": uri()},
    ],
)
def test_an_image_is_read_and_shown_as_it_came(url: Any) -> None:
    message, form = entry_from(item({"type": "input_text", "text": "Look."}, image(image_url=url, detail="low")))
    assert isinstance(message, Message)
    told = url["url"] if isinstance(url, dict) else url
    assert (message.text, message.images, form) == ("Look.", (Image(told, "low"),), "input_text")
    assert shown(message, form)["content"] == [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": told, "detail": "low"},
    ]


def test_an_image_alone_is_shown_alone() -> None:
    message, form = entry_from(item(image()))
    assert [part["type"] for part in shown(message, form)["content"]] == ["input_image"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"image_url": "https://elsewhere.example/cat.png"}, "data URI"),
        ({"image_url": "data:image/svg+xml;base64,AAAA"}, "data URI"),
        ({"image_url": "data:image/png;base64,"}, "data URI"),
        ({"image_url": uri()[:-1]}, "data URI"),
        ({"image_url": uri() + "\n"}, "data URI"),
        ({"image_url": uri("png", b"GIF8")}, "no png"),
        ({"image_url": None}, "data URI"),
        ({"image_url": 5}, "data URI"),
        ({"detail": "very"}, "detail"),
    ],
)
def test_what_is_no_image_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError, match=why) as refused:
        entry_from(item(image(**wrong)))
    assert len(refused.value.message) < 300


def test_only_the_user_shows_images_and_not_many_at_a_time() -> None:
    with pytest.raises(ClientError, match="user alone"):
        entry_from(item(image(), role="assistant"))
    with pytest.raises(ClientError, match="at most"):
        entry_from(item(*[image()] * (MOST_IMAGES + 1)))


def created(*parts: dict[str, Any]) -> str:
    return json.dumps({"type": "conversation.item.create", "item": item(*parts)})


def test_an_event_may_be_long_for_its_images_alone() -> None:
    long = image(image_url=uri(size=300_000))
    assert isinstance(read(created(long)).request, CreateItem)
    words = {"type": "input_text", "text": "x" * 140_000}
    assert read(created(long, words)).error is not None
    assert read(created(image(image_url=uri(size=900_000)))).error is not None
    hidden = {"type": "input_text", "text": "data:image/png;base64," + "[" * 140_000}
    assert read(created(hidden)).error is not None


def requests(*, looks: bool) -> Requests:
    numbers = itertools.count(1)
    session = SessionObject.new("realtime", "gpt-realtime")
    return Requests(session, lambda _: Voice(), lambda prefix: f"{prefix}_{next(numbers)}", looks=looks)


def test_a_model_that_does_not_look_is_shown_none() -> None:
    message, form = entry_from(item(image()))
    for asked in (CreateItem(message, form, None), CreateResponse(context=(message,))):
        with pytest.raises(ClientError, match="does not look at images") as refused:
            requests(looks=False).take(asked, None)
        assert refused.value.code == "image_not_supported"
        assert requests(looks=True).take(asked, None).orders
