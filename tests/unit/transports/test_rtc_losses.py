"""A packet of the microphone that never comes: silence of its length for the ears, and a metric."""

from __future__ import annotations

import pytest

from parley.observability.metrics import Metrics
from parley.transports.bounds import ClientBounds
from parley.transports.client_settings import ClientSettings
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.webrtc import WebRtcTransport

pytestmark = pytest.mark.anyio

SILENCE = b"\xf8\xff\xfe"
"""20 ms of Opus."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lost(metrics: Metrics) -> float:
    line = 'parley_microphone_lost_seconds_total{where="network"} '
    text = metrics.exposition().decode()
    return float(text.partition(line)[2].partition("\n")[0] or 0)


async def test_what_the_network_lost_of_a_microphone_is_counted_in_seconds() -> None:
    metrics, settings = Metrics(), WebRtcSettings(reorder_packets=2)
    transport = WebRtcTransport(settings, ClientBounds(ClientSettings(), metrics))
    try:
        for number in (0, 1, 2, 4, 3, 5):  # out of order is not lost
            transport._microphone.take(7, number, 960 * number, SILENCE)
        assert lost(metrics) == 0
        for number in (8, 9, 10, 11, 12):  # 6 and 7 never come
            transport._microphone.take(7, number, 960 * number, SILENCE)
        assert lost(metrics) == pytest.approx(0.04)
    finally:
        await transport.aclose()
