"""The seam to aiortc: it fits the pinned release, and says so when it no longer does."""

from __future__ import annotations

import importlib.metadata

import pytest
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from parley.errors import ConfigError
from parley.transports import rtc_seam


def test_the_installed_aiortc_is_the_pinned_one() -> None:
    assert importlib.metadata.version("aiortc").startswith(rtc_seam.PINNED + ".")
    rtc_seam.check_pinned()


def test_a_changed_receiver_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(self: object, packet: object, arrival_time_ms: int) -> None:
        """Knows nothing of the attributes that the seam uses."""

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", other)
    with pytest.raises(ConfigError, match=r"differs from 1\.16 in RTCRtpReceiver\._handle_rtp_packet"):
        rtc_seam.check_pinned()


def test_a_missing_method_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(rtc_seam.RTCIceTransport, "_monitor")
    with pytest.raises(ConfigError, match=r"RTCIceTransport\._monitor"):
        rtc_seam.check_pinned()
