"""Whose a request is, told by its address and its headers alone."""

from __future__ import annotations

import pytest

from parley.server.siblings import keeper


@pytest.mark.parametrize(
    ("path", "mcp_session", "number"),
    [
        ("/v1/webrtc/3.AbC-_d", "", 3),
        ("/v1/realtime/calls/rtc_0.AbC/hangup", "", 0),
        ("/realtime/calls/rtc_12.AbC/hangup", "", 12),
        ("/mcp", "1.0123456789abcdef", 1),
        ("/mcp", "", None),
        ("/mcp", "0123456789abcdef", None),
        ("/v1/webrtc", "", None),
        ("/v1/webrtc/AbC", "", None),
        ("/v1/webrtc/-1.AbC", "", None),
        ("/v1/webrtc/1234.AbC", "", None),
        (f"/v1/webrtc/{'9' * 5_000}.AbC", "", None),
        ("/v1/webrtc/../1.AbC", "", None),
        ("/v1/realtime/calls/1.AbC/hangup", "", None),
        ("/v1/audio/speech", "1.0123456789abcdef", None),
    ],
)
def test_what_bears_a_number_is_asked_of_its_process(path: str, mcp_session: str, number: int | None) -> None:
    assert keeper(path, mcp_session) == number
