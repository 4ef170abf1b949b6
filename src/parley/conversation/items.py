"""The entries of a conversation: messages, calls of tools, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from parley.values import Image

if TYPE_CHECKING:
    from parley.audio.frame import WordMark

Role = Literal["system", "user", "assistant"]


@dataclass(slots=True, eq=False)
class Message:
    """What one side said. It may become better known later; empty while it is not known at all."""

    role: Role
    text: str
    id: str = ""
    """Given when it is added, where it has none."""
    marks: tuple[WordMark, ...] = ()
    """Where its words stand in its sound, for one that may still be cut to what was heard; never kept elsewhere."""
    samples: int = 0
    """Of its sound, at 48 kHz, as far as that was sent; 0 for what never sounded. Not kept elsewhere either."""
    complete: bool = False
    """Whether that was all: who heard it to its end then heard every word."""
    whole: str = ""
    """All that was to be said, which ``marks`` count in; empty where that is ``text``."""
    cut: int | None = None
    """Samples of it that its listener says were heard, at most."""
    images: tuple[Image, ...] = ()
    """What the participant shows with it."""


@dataclass(slots=True, eq=False)
class Call:
    """The language model asked for a tool."""

    call_id: str
    """The model's own name for this asking; its result bears the same."""
    name: str
    arguments: str
    """JSON as the model wrote it, whether or not it is valid."""
    id: str = ""


@dataclass(slots=True, eq=False)
class Result:
    """What became of a call: what the tool answered, or why there is no answer."""

    call_id: str
    output: str
    id: str = ""


Item = Message | Call | Result

_KINDS: dict[str, type[Message] | type[Call] | type[Result]] = {"message": Message, "call": Call, "result": Result}
_FIELDS = {
    "message": ("id", "role", "text"),
    "call": ("id", "call_id", "name", "arguments"),
    "result": ("id", "call_id", "output"),
}


def plain(item: Item) -> dict[str, Any]:
    """An item as JSON knows it: ``type``, its texts, and its images where it has some."""
    kind = next(name for name, known in _KINDS.items() if isinstance(item, known))
    made: dict[str, Any] = {"type": kind} | {name: getattr(item, name) for name in _FIELDS[kind]}
    if isinstance(item, Message) and item.images:
        made["images"] = [{"url": image.url, "detail": image.detail} for image in item.images]
    return made


def item_from(data: Mapping[str, Any]) -> Item:
    """Read :func:`plain`; a message may lack type and id, as those of older snapshots do. ValueError when malformed."""
    if not isinstance(data, Mapping):
        raise ValueError("an item of a conversation is an object")
    kind = data.get("type", "message")
    if kind not in _KINDS:
        raise ValueError("no item of a conversation is of this type")
    values = {name: data.get(name, "" if name == "id" else None) for name in _FIELDS[kind]}
    if not all(isinstance(value, str) for value in values.values()):
        raise ValueError(f"a {kind} has the texts {', '.join(_FIELDS[kind])}")
    if kind == "message" and values["role"] not in ("system", "user", "assistant"):
        raise ValueError("nobody of this role takes part in a conversation")
    item = _KINDS[kind](**values)
    if isinstance(item, Message):
        item.images = _images(data.get("images", ()))
    return item


def _images(data: Any) -> tuple[Image, ...]:
    if not isinstance(data, list | tuple) or not all(isinstance(one, Mapping) for one in data):
        raise ValueError("the images of a message are a list of objects")
    images = tuple(Image(one.get("url"), one.get("detail", "auto")) for one in data)
    if not all(isinstance(image.url, str) and image.detail in ("auto", "low", "high") for image in images):
        raise ValueError("an image has a url, and a detail that is auto, low or high")
    return images
