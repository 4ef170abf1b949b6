"""Who cannot see is told from who was shown something broken."""

from __future__ import annotations

import pytest

from parley.llm.prompt import UNSEEN
from parley.llm.sight import Fault, Sight, fault
from parley.values import ChatMessage, Image


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "This model does not support image input."),
        (400, "Model does not support images. Please use a model that does."),
        (400, "This model doesn\u2019t support vision"),
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
        (400, "text-only is not a multimodal model"),
        (404, "No endpoints found that support image input"),
        (400, "At most 0 image(s) may be provided in one request."),
        (500, "this model is missing data required for image input"),
        (422, "messages[1]: unknown variant `image_url`, expected `text`"),
        (400, "Invalid content type. image_url is only supported by certain models."),
    ],
)
def test_an_endpoint_that_says_so_sees_nothing(status: int, said: str) -> None:
    assert fault(status, said) is Fault.MODEL


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Failed to load image: cannot identify image file"),
        (400, "You uploaded an unsupported image. Please make sure your image has of one the following formats."),
        (400, "This model does not support image/avif"),
        (400, "This model does not support images larger than 20 MB."),
        (400, "The server does not support image formats other than png and jpeg."),
        (400, "This model does not support image input formats other than png."),
        (400, "Image input is not supported in this format."),
        (400, "At most 1 image(s) may be provided in one request."),
        (422, "Invalid image data"),
        (500, "image: unknown format"),
    ],
)
def test_what_is_wrong_with_an_image_is_wrong_with_that_image(status: int, said: str) -> None:
    assert fault(status, said) is Fault.IMAGES


@pytest.mark.parametrize(
    ("status", "said"), [(400, "The context is too long."), (429, "Too many images."), (401, "image"), (503, "image")]
)
def test_other_refusals_are_not_about_images(status: int, said: str) -> None:
    assert fault(status, said) is Fault.OTHER


def look(*images: str) -> ChatMessage:
    return ChatMessage("user", "Look.", images=tuple(map(Image, images)))


def test_the_only_image_of_a_refused_request_is_not_shown_again() -> None:
    sight = Sight(looks=True)
    sight.refused([look("broken")], Fault.IMAGES)
    assert sight.looks
    assert sight.shown([look("broken", "cat"), look("cat")]) == [
        ChatMessage("user", f"Look. {UNSEEN}", images=(Image("cat"),)),
        look("cat"),
    ]


def test_of_several_nobody_knows_which_it_was() -> None:
    sight = Sight(looks=True)
    sight.refused([look("broken"), look("cat")], Fault.IMAGES)
    assert sight.shown([look("cat", "broken")]) == [look("cat", "broken")]


def test_who_sees_nothing_is_shown_nothing() -> None:
    sight = Sight(looks=True)
    sight.refused([look("cat")], Fault.MODEL)
    assert sight.shown([look("dog")]) == [ChatMessage("user", f"Look. {UNSEEN}")]


def test_what_is_remembered_of_broken_images_is_bounded() -> None:
    sight = Sight(looks=True)
    for number in range(300):
        sight.refused([look(f"broken {number}")], Fault.IMAGES)
    assert sight.shown([look("broken 0"), look("broken 299")]) == [
        look("broken 0"),
        ChatMessage("user", f"Look. {UNSEEN}"),
    ]
