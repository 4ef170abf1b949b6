"""Work that is done again and again beside everything else: a failure ends its round and is told, the next one comes.

A loop of its own in a task that nobody awaits would end with its first failure, and nobody would hear of it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


async def rounds(what: str, work: Callable[[], Awaitable[object]], every: float, *, at_once: bool = True) -> None:
    """``work()``, then a pause of ``every`` seconds, until cancelled; with the pause first unless ``at_once``.

    Of failures that follow on each other the first one is logged, with its cause, as the failure of ``what``.
    """
    failed = False
    if not at_once:
        await asyncio.sleep(every)
    while True:
        try:
            await work()
            failed = False
        except Exception:
            # Our own code, or what it leans on (files, a peer): this round is lost, which must be heard.
            if not failed:
                log.exception("%s failed, and is tried again every %g s", what, every)
            failed = True
        await asyncio.sleep(every)
