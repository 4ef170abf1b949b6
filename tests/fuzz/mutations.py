"""Inputs with mistakes in them, from good ones and a seed: bytes changed, cut, doubled; JSON of another structure."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 10**40, 1e308, -0.5, "", "\0", "\ud800", "é" * 40, "x" * 3000, [], {}, [[[[]]]],
    {"type": {"type": []}}, ["a", 1, None], "NaN", "\u202e", "😀" * 20,
)  # fmt: skip
PIECES = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n", b"\r", b"\n\n", b"{", b"}", b'"', b"\\u0000", b"\\ud800", b":",
    b"=",
    b"-" * 70, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"NaN", b"Infinity", b"%s%n", b"../" * 20, b"\xe2\x80\xae",
)  # fmt: skip
"""What parsers are known to stumble over, put in anywhere."""


def inputs(seeds: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """The good ones first, then ``count`` spoilt ones; the same for the same seed."""
    chance = random.Random(seed)
    yield from seeds
    for _ in range(count):
        data = chance.choice(seeds)
        parsed = _json(data) if chance.random() < 0.7 else None
        if isinstance(parsed, dict | list):
            data = json.dumps(spoilt(parsed, chance)).encode()
            if chance.random() < 0.8:
                yield data
                continue
        yield damaged(data, chance)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def spoilt(value: Any, chance: random.Random) -> Any:
    """The same JSON with one to three places that hold something else, less or more."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        place = value
        while isinstance(place, dict | list) and place:
            key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
                place = inner
                continue
            _change(place, key, chance)
            break
    return value


def _change(place: Any, key: Any, chance: random.Random) -> None:
    how = chance.random()
    if how < 0.2:
        del place[key]
    elif how < 0.35 and isinstance(place, dict):
        place[chance.choice(("a", "x" * 200, "type", "id", ""))] = copy.deepcopy(chance.choice(ODD))
    else:
        place[key] = copy.deepcopy(chance.choice(ODD))


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The same bytes, one to four times changed, cut, doubled or with something put in."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(found))
        how = chance.randrange(5)
        if how == 0 and found:
            found[at % len(found)] = chance.randrange(256)
        elif how == 1:
            found[at:at] = chance.choice(PIECES)
        elif how == 2:
            del found[at : at + chance.randint(1, 20)]
        elif how == 3:
            found[at:at] = found[: chance.randint(0, 60)]
        else:
            del found[at:]
    return bytes(found)
