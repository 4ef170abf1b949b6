"""What the time is: seconds on the running loop's clock.

What decides by the time asks :func:`now`, or takes ``now`` as an argument.
Tests replace the event loop, so that time is theirs (``parley.testing.virtual_time``).
"""

from __future__ import annotations

from asyncio import get_running_loop


def now() -> float:
    """The running loop's time in seconds: monotonic, with an arbitrary origin."""
    return get_running_loop().time()
