"""The local wire's bytes: cut anywhere, believed nowhere."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.rpc.local.frames import (
    CALL,
    MAX_PAYLOAD,
    MESSAGE,
    BrokenWire,
    FrameReader,
    Opening,
    Status,
    frame,
    pack_credit,
    unpack_credit,
)

FRAMES = [(CALL, 1, b"open"), (MESSAGE, 2**40, b""), (MESSAGE, 1, bytes(3000))]


@given(st.lists(st.integers(0, 3100), max_size=8))
def test_frames_come_whole_however_the_socket_cuts_them(cuts: list[int]) -> None:
    sent = b"".join(frame(*each) for each in FRAMES)
    reader = FrameReader()
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    got = [each for start, end in itertools.pairwise(places) for each in reader.feed(sent[start:end])]
    assert got == FRAMES


def test_a_frame_that_claims_to_be_longer_than_any_may_be_is_refused_by_its_head_alone() -> None:
    with pytest.raises(BrokenWire, match=str(MAX_PAYLOAD + 1)):
        FrameReader().feed(struct.pack("<IBQ", MAX_PAYLOAD + 1, MESSAGE, 1))


def test_an_opening_and_a_status_come_back_as_they_were() -> None:
    opening = Opening("Synthesize", (("authorization", "Bearer ü"),))
    status = Status(14, "it drains", (("retry-after-ms", "200"),))
    assert Opening.unpack(opening.pack()) == opening
    assert Status.unpack(status.pack()) == status
    assert unpack_credit(pack_credit(70_000)) == 70_000


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"1", b'["a"]', b'["a", {"b": 1}]', b'["a", ["b"]]', b'["a", [1]]', b"[" * 100_000]
)
def test_what_cannot_be_read_is_refused(payload: bytes) -> None:
    for unpack in (Opening.unpack, Status.unpack, unpack_credit):
        with pytest.raises(BrokenWire):
            unpack(payload)
