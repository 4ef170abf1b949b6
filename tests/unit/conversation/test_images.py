"""What is shown stays with the words it was shown with, within bounds, also where a session goes on elsewhere."""

from __future__ import annotations

import pytest

from parley.conversation import History, Message, item_from, plain
from parley.conversation.history import MOST_IMAGE_CHARACTERS, MOST_IMAGES, NO_IMAGE
from parley.registry.snapshots import MAX_BYTES, SessionSnapshot
from parley.values import ChatMessage, Image

CAT, DOG = Image("data:image/png;base64,cat"), Image("data:image/png;base64,dog", "high")


def test_a_model_is_told_images_behind_the_words_of_their_side() -> None:
    history = History()
    history.insert(Message("user", "Look.", images=(CAT,)))
    history.insert(Message("user", "", images=(DOG,)))
    history.insert(Message("assistant", "I see."))
    assert history.messages() == [ChatMessage("user", "Look.", images=(CAT, DOG)), ChatMessage("assistant", "I see.")]
    assert history.messages(turn="And?")[-1] == ChatMessage("user", "And?")


def test_only_the_newest_images_are_kept_and_the_others_leave_a_word() -> None:
    history = History()
    for number in range(MOST_IMAGES + 2):
        history.insert(Message("user", f"Number {number}.", images=(CAT,)))
    shown = [bool(item.images) for item in history.items if isinstance(item, Message)]
    assert shown == [False] * 2 + [True] * MOST_IMAGES
    first = history.items[0]
    assert isinstance(first, Message)
    assert first.text == f"Number 0. {NO_IMAGE}"


def test_images_are_bounded_in_all() -> None:
    history, large = History(), Image("x" * (MOST_IMAGE_CHARACTERS // 2 - 10))
    for _ in range(3):
        history.insert(Message("user", "", images=(large,)))
    assert [bool(item.images) for item in history.items if isinstance(item, Message)] == [False, True, True]


def test_images_survive_in_a_snapshot() -> None:
    kept = SessionSnapshot(
        "s1", (Message("user", "Look.", "i1", images=(CAT, DOG)), Message("assistant", "Yes.", "i2"))
    )
    first, second = SessionSnapshot.from_json(kept.to_json()).items
    assert isinstance(first, Message)
    assert (first.text, first.images) == ("Look.", (CAT, DOG))
    assert "images" not in plain(second)


def test_a_snapshot_lets_go_of_old_images_before_it_lets_go_of_words() -> None:
    large = Image("x" * (MAX_BYTES * 2 // 3))
    items = [Message("user", f"Number {number}.", f"i{number}", images=(large,)) for number in range(3)]
    text = SessionSnapshot("s1", tuple(items)).to_json()
    assert len(text) < MAX_BYTES + 1_000
    read = SessionSnapshot.from_json(text).items
    assert [isinstance(item, Message) and bool(item.images) for item in read] == [False, False, True]
    assert [item.text for item in read if isinstance(item, Message)] == [
        f"Number 0. {NO_IMAGE}", f"Number 1. {NO_IMAGE}", "Number 2.",
    ]  # fmt: skip


@pytest.mark.parametrize("images", [5, [5], [{}], [{"url": 5}], [{"url": "x", "detail": "very"}]])
def test_a_snapshot_that_is_malformed_is_refused(images: object) -> None:
    with pytest.raises(ValueError, match="image"):
        item_from({"type": "message", "role": "user", "text": "", "images": images})
