"""How a package declares a setting: type, default, bounds, unit and meaning in one place.

Packages keep their settings in frozen dataclasses of their own::

    @dataclass(frozen=True, slots=True)
    class EndpointingSettings:
        min_delay: Annotated[float, Setting("Shortest silence that ends a turn.", unit="s", ge=0, le=5)] = 0.2

They import nothing but the standard library; ``parley.config`` gathers them into one tree,
lets pydantic check the bounds and writes the reference page from the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """What a person needs to know about one setting, and what it may be."""

    doc: str
    """One sentence: the effect, not the name said again."""
    unit: str = ""
    """"s", "ms", "Hz", "bytes" ...; empty for counts, names and switches."""
    ge: float | None = None
    """Smallest value allowed."""
    le: float | None = None
    """Largest value allowed."""
    choices: tuple[str, ...] = ()
    """The only values allowed, where there are few."""
    secret: bool = False
    """Never printed, never logged."""

    def check(self, value: Any) -> Any:
        """Return ``value``, or raise ValueError with what is allowed."""
        if value is None:
            return value
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        unit = f" {self.unit}" if self.unit else ""
        if self.ge is not None and value < self.ge:
            raise ValueError(f"must be at least {self.ge:g}{unit}")
        if self.le is not None and value > self.le:
            raise ValueError(f"must be at most {self.le:g}{unit}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Let pydantic apply :meth:`check`; imported here so that packages need not know it."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))
