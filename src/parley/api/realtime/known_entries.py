"""What a client knows of the conversation's entries: which it was told of, and in which form (pure)."""

from __future__ import annotations

_KEPT = 2_000
"""Entries that are remembered, the newest."""


class KnownEntries:
    """One session's."""

    def __init__(self) -> None:
        self._hidden: dict[str, str] = {}
        self._forms: dict[str, str] = {}

    def hide(self, item_id: str, before: str) -> None:
        """The client is not told of this one, which stands behind ``before``."""
        _keep(self._hidden, item_id, before)

    def up_to(self, item_id: str) -> str:
        """The last entry up to this one that the client knows."""
        for _ in range(_KEPT):
            if item_id not in self._hidden:
                break
            item_id = self._hidden[item_id]
        return item_id

    def keep_form(self, item_id: str, form: str) -> None:
        """Its content is of this type; empty for none of its own."""
        if form:
            _keep(self._forms, item_id, form)

    def form(self, item_id: str) -> str:
        """The type of its content; empty for none of its own."""
        return self._forms.get(item_id, "")


def _keep(kept: dict[str, str], item_id: str, value: str) -> None:
    kept[item_id] = value
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
