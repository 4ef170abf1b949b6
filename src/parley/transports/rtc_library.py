"""The library of WebRTC, which takes a while to import: by whom it is wanted, and when.

Whoever starts a server asks here whether the right one is installed, which costs nothing; the first who comes by
WebRTC has it imported, in a thread, so that neither the start nor anybody's sound waits for it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata

import structlog

from parley.errors import UnavailableError
from parley.transports.rtc_settings import PINNED

log = structlog.get_logger(__name__)


class RtcLibrary:
    """Belongs to one loop. Raises ConfigError when another release is installed that is not built alike."""

    def __init__(self) -> None:
        self._importing: asyncio.Future[None] | None = None
        if not importlib.metadata.version("aiortc").startswith(PINNED + "."):
            _import()

    def wanted_soon(self) -> None:
        """Begin to import it, where nobody did yet."""
        if self._importing is None:
            self._importing = asyncio.ensure_future(asyncio.to_thread(_import))

    async def ready(self) -> None:
        """Return once it can be used. Raises ConfigError like the constructor, UnavailableError where it is broken."""
        self.wanted_soon()
        assert self._importing is not None
        try:
            await asyncio.shield(self._importing)
        except ImportError as error:
            log.warning("the library of WebRTC can not be imported", reason=str(error))
            raise UnavailableError("WebRTC does not work on this server; its log says why.") from None


def _import() -> None:
    from parley.transports import rtc_seam, webrtc

    assert webrtc
    rtc_seam.check_pinned()
