"""The little of SDP that is ours."""

from __future__ import annotations

import pytest
from aioice import Candidate

from parley.errors import InvalidRequest
from parley.transports import rtc_sdp

ANSWER = (
    "v=0\r\ns=-\r\na=group:BUNDLE 0 1\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtcp-mux\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=ice-ufrag:abcd\r\n"
    "a=ice-pwd:0123456789012345678901\r\n"
)


def test_the_frame_length_stands_in_the_audio_section_only() -> None:
    lines = rtc_sdp.with_frame_length(ANSWER, 10).splitlines()
    assert lines.count("a=ptime:10") == 1
    assert lines.index("a=ptime:10") < lines.index("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")


def test_credentials_and_candidates_are_read_once() -> None:
    username, password, candidates = rtc_sdp.ice_part(ANSWER)
    assert (username, password) == ("abcd", "0123456789012345678901")
    assert [(candidate.host, candidate.port) for candidate in candidates] == [("192.0.2.1", 5000)]


def test_a_restart_without_credentials_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="ice-ufrag"):
        rtc_sdp.ice_part("a=mid:0\r\n")


def test_a_candidate_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="candidate"):
        rtc_sdp.candidates_of("a=candidate:nonsense")


def test_new_credentials_replace_the_old_ones_in_every_section() -> None:
    fresh = Candidate.from_sdp("2 1 udp 2130706431 192.0.2.2 6000 typ host")
    text = rtc_sdp.with_ice(ANSWER, "wxyz", "x" * 22, [fresh])
    assert text.count("a=ice-ufrag:wxyz") == 2
    assert "abcd" not in text
    assert "192.0.2.1 5000" not in text
    assert rtc_sdp.fragment_of(text).splitlines()[0] == "a=ice-ufrag:wxyz"


def test_hidden_candidates_are_left_out() -> None:
    offer = ANSWER + "a=candidate:1 1 udp 2113937151 4f2-7.local 5353 typ host\r\n"
    assert ".local" not in rtc_sdp.without_hidden_candidates(offer)


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ("", "v=0"),
        ("{}", "v=0"),
        ("v=0\r\n", "one audio section"),
        ("v=0\r\nm=audio 9 x 0\r\n", "data channel"),
        ("v=0\r\n" + "a" * 70_000, "at most"),
    ],
)
def test_a_wrong_offer_is_refused_with_its_reason(offer: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        rtc_sdp.check_offer(offer, "parley")
