"""What a client says is likely to be said in a recording, bounded, as recognisers are told of it (pure)."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST, LONGEST = 100, 100
"""Names and terms of a recording, and characters of one."""
_ENDS = re.compile(r"[,;\n|、，；。！？…]|[.:!?](?=\s|$)")
"""Between two names, or behind a sentence; a point within a name is part of it."""


def likely(said: Iterable[str]) -> tuple[str, ...]:
    """Each once, the first ``MOST`` of them; what is empty or longer than ``LONGEST`` is left out."""
    written = (" ".join(each.split()) for each in said)
    fit = (each for each in written if 0 < len(each) <= LONGEST)
    return tuple(islice(dict.fromkeys(fit), MOST))


def likely_in(prompt: str) -> tuple[str, ...]:
    """The names of a list, or the sentences of a text: OpenAI's clients send either as ``prompt``."""
    return likely(_ENDS.split(prompt))
