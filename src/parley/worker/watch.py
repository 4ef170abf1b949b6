"""Reading models again when their files change, for those who want that without asking."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from parley.errors import ParleyError
from parley.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.rpc.values import ModelStatus
    from parley.worker.voicepacks import Fingerprint

_log = logging.getLogger(__name__)


class WatchedCatalog(Protocol):
    """What is asked of the catalog."""

    def refresh(self) -> object:
        """Look at the disk; called on a thread."""

    def fingerprints(self) -> Mapping[str, Fingerprint]:
        """Names, sizes and times of each model's files."""


class Reloader(Protocol):
    """What is asked of the model manager."""

    def statuses(self) -> list[ModelStatus]: ...

    async def reload(self, name: str) -> None: ...


class PackWatch:
    """Reloads resident models whose files have changed and then stayed the same for one look.

    A copy that is under way changes from look to look, so it is left to finish. A reload that fails
    leaves what was serving; it is tried again when the files change again.
    """

    def __init__(self, catalog: WatchedCatalog, manager: Reloader) -> None:
        self._catalog, self._manager = catalog, manager
        self._known = dict(catalog.fingerprints())
        self._restless: dict[str, Fingerprint] = {}

    async def run(self, interval: float) -> None:
        """Look every ``interval`` seconds, for ever."""
        await rounds("the look at the voice packs' files", self.look, interval, at_once=False)

    async def look(self) -> list[str]:
        """Look once; returns the models that were read again."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._catalog.refresh)
        except ParleyError as error:
            _log.warning("voice packs can not be read", extra={"reason": error.message})
            return []
        now = dict(self._catalog.fingerprints())
        moved = {name: print_ for name, print_ in now.items() if self._known.get(name, print_) != print_}
        settled = [name for name, print_ in moved.items() if self._restless.get(name) == print_]
        self._restless = {name: print_ for name, print_ in moved.items() if name not in settled}
        self._known = {name: self._known.get(name, now[name]) if name in self._restless else now[name] for name in now}
        resident = {status.info.model_id for status in self._manager.statuses() if status.state == "resident"}
        return [name for name in sorted(settled) if name in resident and await self._reload(name)]

    async def _reload(self, name: str) -> bool:
        try:
            await self._manager.reload(name)
        except ParleyError as error:
            _log.warning("changed files can not be read", extra={"model": name, "reason": error.message})
            return False
        _log.info("model read again after its files changed", extra={"model": name})
        return True
