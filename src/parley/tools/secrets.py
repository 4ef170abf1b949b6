"""Values of settings that stand in the environment, so that no secret stands in a file."""

from __future__ import annotations

import os

from parley.errors import ConfigError


def from_environment(who: str, value: str) -> str:
    """``$NAME`` alone is the variable NAME, anything else itself. Raises ConfigError where it is not set."""
    if not value.startswith("$"):
        return value
    if (found := os.environ.get(value[1:])) is None:
        raise ConfigError(f"{who} wants the environment variable {value[1:]}, which is not set.")
    return found
