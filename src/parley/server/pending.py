"""Offers that were answered and whose browsers are yet to come: each holds sockets, so there is a bound (pure)."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from parley.errors import CapacityError, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Iterator


class PendingOffers:
    """At most ``most`` at a time, and ``most_per_address`` from one address.

    ``patience``: seconds after which an offer that nobody follows up is given up; what ``Retry-After`` says.
    """

    def __init__(self, most: int, most_per_address: int, patience: float) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._patience = patience
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_address.total()

    @contextlib.contextmanager
    def one(self, address: str) -> Iterator[None]:
        """Holds a place while the block runs. TooManyRequests, CapacityError."""
        if self._by_address[address] >= self._most_per_address:
            raise TooManyRequests(
                f"{self._most_per_address} connections from {address or 'this address'} are being set up already; "
                "let them connect first.",
                retry_after=self._patience,
            )
        if len(self) >= self._most:
            raise CapacityError("Too many browsers are connecting at the moment; try again soon.", retry_after=1.0)
        self._by_address[address] += 1
        try:
            yield
        finally:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
