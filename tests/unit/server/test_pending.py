"""Offers that wait for their browser."""

from __future__ import annotations

import pytest

from parley.errors import CapacityError, TooManyRequests
from parley.server.pending import PendingOffers


def test_a_place_is_free_again_when_the_browser_has_come_or_was_given_up() -> None:
    pending = PendingOffers(1, 1, patience=15)
    for _ in range(3):
        with pending.one("10.0.0.1"):
            assert len(pending) == 1
    assert len(pending) == 0


def test_one_address_cannot_take_the_places_of_others() -> None:
    pending = PendingOffers(10, 2, patience=15)
    with pending.one("10.0.0.1"), pending.one("10.0.0.1"):
        with (
            pytest.raises(TooManyRequests, match=r"2 connections from 10\.0\.0\.1") as refused,
            pending.one("10.0.0.1"),
        ):
            pass
        assert refused.value.retry_after == 15
        with pending.one("10.0.0.2"):
            assert len(pending) == 3


def test_all_addresses_together_are_bounded() -> None:
    pending = PendingOffers(2, 2, patience=15)
    with (
        pending.one("10.0.0.1"),
        pending.one("10.0.0.2"),
        pytest.raises(CapacityError, match="Too many browsers"),
        pending.one("10.0.0.3"),
    ):
        pass
    assert len(pending) == 0
