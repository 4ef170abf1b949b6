"""Which of the installed models is taken where the settings say auto. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley.store.catalog import Entry


TURN_ENGINES_IN_AUTO: tuple[str, ...] = ()
"""Turn models that ``turn.engine: auto`` may take, the preferred ones first: only what ``parley bench turns``
shows to be better than words and silence. None is: on its own, Smart Turn takes pauses for ends, and turn-1-mini's
weights could not be had where the others were measured."""

INTERRUPTION_ENGINES_IN_AUTO: tuple[str, ...] = ()
"""The same for models of what is said over a reply; none was measured yet."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken, and what would have been better."""

    entry: Entry | None
    """None: nothing that is installed fits; the embedded one."""
    better: str = ""
    """A model of the catalog that would be better and is not here; empty where nothing would."""


def choose(
    installed: Sequence[Entry],
    known: Sequence[Entry],
    *,
    language: str,
    fits: Callable[[str, str], bool],
    runnable: Callable[[Entry], bool],
) -> Choice:
    """The first installed model that speaks or hears ``language`` and whose engine is here.

    ``installed`` and ``known`` are of one kind, the preferred ones first. ``fits(have, want)`` compares two
    languages; a model without languages fits all of them.
    """

    def suits(entry: Entry) -> bool:
        return not entry.forbidden and (
            not entry.languages or not language or any(fits(have, language) for have in entry.languages)
        )

    taken = next((entry for entry in installed if suits(entry) and runnable(entry)), None)
    best = next((entry for entry in known if suits(entry) and entry.size_mb < _SMALL_MB), None)
    better = best.model_id if best is not None and taken is None else ""
    return Choice(taken, better)


_SMALL_MB = 200
"""What is recommended unasked is no larger than this."""
