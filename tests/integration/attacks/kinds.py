"""Which floods run in every CI, and which when they are asked for by name (``just soak``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

BY_TWENTY = frozenset(
    {
        *("playout", "set_voice", "text", "audio", "say"),
        *("wire_ping", "empty_pieces"),
        *("rt_sound", "rt_session", "rt_response", "rt_keys"),
    }
)
"""Those that did harm once, and one of each kind of work: twenty connections bring them. The others do the same work as
one of these, and one connection brings them: what twenty bring on the way of a message is more than one does."""


def asked_for(floods: Iterable[str], *, by_twenty: bool) -> list[Any]:
    """All of them as parameters; those marked that do not run in every CI."""
    return [pytest.param(kind, marks=[] if (kind in BY_TWENTY) is by_twenty else [pytest.mark.soak]) for kind in floods]
