"""Certificates that are renewed while a process runs: noticed by their files, and taken once they are whole."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable

_Stamp = tuple[tuple[int, int, int], ...]


class RenewedPair:
    """A certificate and its key, of which somebody may put newer ones in place.

    ``beside``: files that belong to them, such as the authority of clients; empty names are passed over.
    ``told``: called with a reason once for each pair that cannot be used.
    """

    def __init__(self, certificate: str, key: str, *beside: str, told: Callable[[str], None]) -> None:
        self._certificate, self._key, self._told = certificate, key, told
        self._paths = [path for path in (certificate, key, *beside) if path]
        self._seen = self._stamp()

    def newer(self) -> bool:
        """True once for each pair that is new and whole. One that is not may be half written: the old one stays."""
        stamp = self._stamp()
        if not stamp or stamp == self._seen:
            return False
        self._seen = stamp
        try:
            # A pair that does not belong together would spoil the context in use: it is tried in another one first.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        except OSError as error:  # ssl.SSLError is one
            self._told(str(error))
            return False
        return True

    def _stamp(self) -> _Stamp:
        try:
            found = [os.stat(path) for path in self._paths]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)
