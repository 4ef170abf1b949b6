"""What an endpoint that refuses a request with images says of them, and what it is shown from then on (pure)."""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from typing import TYPE_CHECKING

from parley.llm.prompt import unseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.values import ChatMessage, Image


class Fault(Enum):
    """Whose it is."""

    MODEL = "model"
    """It looks at no image whatsoever."""
    IMAGES = "images"
    """Something is wrong with those that it was shown, or it does not say what."""
    OTHER = "other"
    """The refusal is not about images."""


_STATUSES = frozenset({400, 404, 415, 422, 500, 501})
"""What endpoints answer that do not take an image ..."""
_ABOUT_IMAGES = ("image", "vision", "multimodal", "multi-modal", "mmproj")
"""... and one of these words in their account of it."""

_KINDS = r"(?:images?|vision|multi-?modal)"
_WHATSOEVER = (
    r"\b(?!(?: inputs?| content| data)?(?: ?/| (?:formats?|types?|urls?|sizes?|larger|of|with|in this|from)\b))"
)
"""Not only some of them."""
_BLIND = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:does not|doesn't|do not|don't|cannot|can't) (?:support|accept|handle) {_KINDS}{_WHATSOEVER}",
        r"\b(?:image|vision|multi-?modal) (?:inputs?|content) (?:is|are) not (?:supported|enabled|available)\b"
        r"(?! in this| of| for this (?:format|type|image))",
        r"\bimages are not supported\b(?! in this| of)",
        rf"\b(?:is not|isn't|not) an? (?:{_KINDS})(?:[- ]language)?[- ](?:capable )?model\b",
        r"\bno endpoints found that support image input\b",
        r"\bat most 0 image",
        r"\bmissing data required for image input\b",
        r"\bunknown variant `image_url`",
        r"\bimage_url is only supported by certain models\b",
        r"\bmmproj\b",
    )
)
"""How endpoints say that their model reads texts alone."""


def fault(status: int, said: str) -> Fault:
    """Why a request with images was refused, with this status and these words of the endpoint."""
    account = said.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if status not in _STATUSES or not any(word in account for word in _ABOUT_IMAGES):
        return Fault.OTHER
    return Fault.MODEL if any(pattern.search(account) for pattern in _BLIND) else Fault.IMAGES


_REMEMBERED = 256
"""Broken images that are not shown again."""


class Sight:
    """What one endpoint looks at. Shared by all sessions: an image that one of them shows costs no other its own."""

    def __init__(self, *, looks: bool) -> None:
        self.looks = looks
        """Its model has not said that it looks at no image."""
        self._broken: dict[bytes, None] = {}

    def shown(self, history: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The history with words in the place of images that it is known not to look at."""
        return [unseen(message, self._sees) if message.images else message for message in history]

    def refused(self, history: Sequence[ChatMessage], why: Fault) -> None:
        """It refused what ``shown`` gave. An image is remembered as broken only where it was the only one."""
        if why is Fault.MODEL:
            self.looks = False
        images = [image for message in history for image in message.images]
        if why is Fault.IMAGES and len(images) == 1:
            self._broken[_digest(images[0])] = None
            while len(self._broken) > _REMEMBERED:
                del self._broken[next(iter(self._broken))]

    def _sees(self, image: Image) -> bool:
        return self.looks and not (self._broken and _digest(image) in self._broken)


def _digest(image: Image) -> bytes:
    return hashlib.sha256(image.url.encode("utf-8", "replace")).digest()
