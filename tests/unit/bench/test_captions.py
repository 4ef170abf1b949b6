"""What the benchmark of captions takes for a word, on the page and in the sound."""

from parley.bench.captions import bursts, first_lights


def test_a_word_is_a_burst_after_a_silence_longer_than_any_within_a_word() -> None:
    sounds = [(True, 100.0), (False, 300.0), (True, 340.0), (False, 500.0), (True, 700.0), (False, 900.0)]
    assert bursts(sounds) == [100.0, 700.0]


def test_a_word_lights_up_once() -> None:
    assert first_lights([(3, 10.0), (3, 12.0), (7, 30.0), (12, 40.0), (12, 41.0)]) == [10.0, 30.0, 40.0]
