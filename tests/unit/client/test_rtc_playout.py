"""A listener at the far end of an RTP stream: which sample is heard when."""

from __future__ import annotations

import numpy as np

from parley.client.rtc_playout import RtcPlayout
from parley.messages import AudioAnchor

FRAME = 0.02


def pcm(first: int) -> bytes:
    return np.arange(first, first + 960).astype("<i2").tobytes()


def stretches(playout: RtcPlayout) -> list[tuple[str, int, int]]:
    return [(piece.utterance_id, piece.start_sample, piece.end_sample) for piece in playout.heard]


def fed(*packets: int | None, anchors: tuple[AudioAnchor, ...]) -> RtcPlayout:
    """One packet each 20 ms from timestamp 0; None is a packet of silence."""
    playout = RtcPlayout(delay=0.1)
    for index, first in enumerate(packets):
        playout.push(index * 960, pcm(first) if first is not None else bytes(1920), index * FRAME)
        for anchor in anchors:
            if anchor.rtp_timestamp // 960 == index:
                playout.anchor(anchor, index * FRAME)
    return playout


def test_samples_are_heard_where_their_anchor_says() -> None:
    playout = fed(None, 0, 960, anchors=(AudioAnchor("u", 0, 960),))
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 960), ("u", 960, 1920)]
    assert playout.heard[0].at == 0.1 + FRAME


def test_an_anchor_inside_a_packet_splits_it() -> None:
    playout = fed(None, 0, anchors=(AudioAnchor("u", 0, 1_080),))
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 840)]


def test_a_hole_in_the_supply_is_not_heard_as_voice() -> None:
    playout = fed(0, None, 960, anchors=(AudioAnchor("u", 0, 0), AudioAnchor("u", 960, 1_920)))
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 960), ("u", 960, 1_920)]


def test_a_pause_tells_the_very_sample_and_sound_returns_at_the_anchor() -> None:
    playout = fed(0, 960, 1_920, anchors=(AudioAnchor("u", 0, 0),))
    assert playout.pause(0.1 + 0.03) == 1_440
    playout.resume(0.5)
    playout.push(24_000, pcm(1_440), 0.5)
    playout.anchor(AudioAnchor("u", 1_440, 24_000), 0.5)
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 960), ("u", 960, 1_440), ("u", 1_440, 2_400)]


def test_after_a_clear_only_what_is_anchored_anew_is_heard() -> None:
    playout = fed(0, 960, 1_920, anchors=(AudioAnchor("u", 0, 0),))
    assert playout.clear(0.1 + 0.01) == 480
    playout.push(24_000, pcm(0), 0.5)
    playout.anchor(AudioAnchor("v", 0, 24_000), 0.5)
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 480), ("v", 0, 960)]


def test_timestamps_may_wrap_round() -> None:
    playout = RtcPlayout(delay=0.1)
    playout.push(2**32 - 960, pcm(0), 0.0)
    playout.anchor(AudioAnchor("u", 0, 2**32 - 960), 0.0)
    playout.push(0, pcm(960), 0.02)
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 960), ("u", 960, 1_920)]


def test_what_comes_after_its_moment_is_not_heard() -> None:
    playout = fed(0, anchors=(AudioAnchor("u", 0, 0),))
    playout.advance(0.5)
    playout.push(960, pcm(960), 0.5)
    playout.advance(1.0)
    assert stretches(playout) == [("u", 0, 960)]
