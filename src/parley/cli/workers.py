"""``parley workers``: the older name of ``parley top``."""

from __future__ import annotations

from parley.cli.top import top as workers

__all__ = ["workers"]
