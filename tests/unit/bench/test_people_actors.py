"""How a game's archive is read: what is in it, and which line goes on with which."""

from __future__ import annotations

import struct

import pytest

from parley.bench.people_actors import Entry, entries_of, following
from parley.errors import UnavailableError


def archive(*entries: tuple[str, int, int], signature: bytes = b"QTBL", compression: int = 1) -> bytes:
    head = signature + b"CEM10\0\0\0" + struct.pack(">BH", compression, len(entries))
    return head + b"".join(struct.pack(">12sBII", name.encode(), 1, start, size) for name, start, size in entries)


def test_the_table_says_where_each_line_lies() -> None:
    found = list(entries_of(archive(("020001P2.SB", 161_106, 7_001), ("JOE1.ACT", 168_107, 5))))
    assert found == [Entry("020001P2.SB", 161_106, 7_001), Entry("JOE1.ACT", 168_107, 5)]


@pytest.mark.parametrize("other", [archive(signature=b"RIFF"), archive(compression=2)])
def test_an_archive_in_another_form_is_refused(other: bytes) -> None:
    with pytest.raises(UnavailableError, match="another form"):
        list(entries_of(other))


@pytest.mark.parametrize(
    ("name", "next_part"), [("6900CCP1.SB", "6900CCP2.SB"), ("C18C_381.SB", "C18C_382.SB"), ("JOE.SB", ""), (".SB", "")]
)
def test_a_line_goes_on_in_the_next_part(name: str, next_part: str) -> None:
    assert following(name) == next_part
