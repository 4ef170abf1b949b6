import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.audio.resample import Decimator, PassThrough, StreamingResampler, microphone_resampler, resample


def tone(frequency: float, rate: int, seconds: float = 0.5, amplitude: float = 16_000) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def gain_db(resampler: Decimator, frequency: float) -> float:
    out = resampler.process(tone(frequency, resampler.input_rate))[500:].astype(float)
    return 20 * np.log10(np.sqrt((out**2).mean()) / (16_000 / 2**0.5) + 1e-9)


@given(cuts=st.lists(st.integers(0, 1_500), max_size=12))
@settings(max_examples=40, deadline=None)
def test_output_does_not_depend_on_how_the_stream_is_cut(cuts: list[int]) -> None:
    audio = tone(440, 48_000, 0.2)
    whole = Decimator().process(audio)
    parts, cut, position = Decimator(), [], 0
    for size in [*cuts, audio.size]:
        cut.append(parts.process(audio[position : position + size]))
        position += size
    assert np.abs(np.concatenate(cut).astype(int) - whole.astype(int)).max() <= 1


def test_every_third_sample_is_due_at_once() -> None:
    decimator = Decimator()
    assert [decimator.process(np.zeros(960, np.int16)).size for _ in range(3)] == [320, 320, 320]


def test_decimator_holds_back_less_than_a_millisecond() -> None:
    click = np.zeros(960, np.int16)
    click[480] = 30_000
    heard = int(np.abs(Decimator().process(click)).argmax())
    assert 0 <= heard / 16_000 - 480 / 48_000 < 0.001
    assert Decimator.delay < 0.001


def test_decimator_keeps_speech_and_stops_what_would_alias() -> None:
    assert abs(gain_db(Decimator(), 1_000)) < 0.05
    assert gain_db(Decimator(), 6_000) > -0.2
    assert gain_db(Decimator(), 9_000) < -45
    assert gain_db(Decimator(), 15_000) < -45


def test_loud_audio_is_clipped_not_wrapped() -> None:
    step = np.full(4_800, 32_767, np.int16)
    step[:2_400] = -32_768
    out = Decimator().process(step)
    assert out[100:780].max() < -30_000
    assert out[830:].min() > 30_000


def test_flush_returns_the_tail_and_forgets_the_stream() -> None:
    decimator = Decimator()
    first = np.concatenate([decimator.process(tone(440, 48_000)), decimator.flush()])
    again = np.concatenate([decimator.process(tone(440, 48_000)), decimator.flush()])
    assert np.array_equal(first, again)


def test_a_block_larger_than_the_buffer_is_taken_whole() -> None:
    assert Decimator().process(np.zeros(200_000, np.int16)).size == pytest.approx(200_000 / 3, abs=1)


@pytest.mark.parametrize(("rate", "kind"), [(16_000, PassThrough), (48_000, Decimator), (44_100, StreamingResampler)])
def test_the_microphone_gets_the_resampler_for_its_rate(rate: int, kind: type) -> None:
    resampler = microphone_resampler(rate)
    assert isinstance(resampler, kind)
    out = resampler.process(tone(440, rate))
    assert out.size == pytest.approx(8_000, abs=200)


def test_soxr_returns_every_sample_by_the_end_of_the_stream() -> None:
    stream = StreamingResampler(22_050, 48_000, dtype="float32")
    pieces = [stream.process(np.zeros(441, np.float32)) for _ in range(50)] + [stream.flush()]
    assert sum(p.size for p in pieces) == pytest.approx(48_000, abs=2)
    assert sum(p.size for p in [stream.process(np.zeros(22_050, np.float32)), stream.flush()]) == pytest.approx(
        48_000, abs=2
    )


def test_a_recording_is_resampled_whole() -> None:
    assert resample(tone(440, 16_000), 16_000, 48_000).size == 24_000
