from __future__ import annotations

import numpy as np
import pytest

from parley.audio.echo_delay import LONGEST, WINDOW, EchoDelay
from parley.audio.echo_path import EchoPath, EchoState, Look
from parley.audio.timeline import RATE

PROOF = ((0.0, 20.0, 0.2), (0.2, 20.0, 0.2))


def looked(*looks: tuple[float, float, float], sounding: bool = True) -> EchoPath:
    """A path after looks at (seconds, strength, delay)."""
    path = EchoPath()
    for at, strength, delay in looks:
        path.look(Look(at, strength, delay, sounding))
    return path


def strangers(begin: float, end: float) -> list[tuple[float, float, float]]:
    """Looks ten times a second that find nothing, each at another delay."""
    return [(begin + index / 10, 5.0, index % 7 * 0.05) for index in range(round((end - begin) * 10))]


def test_nothing_is_known_at_first() -> None:
    assert EchoPath().state is EchoState.UNKNOWN


def test_one_look_proves_nothing_however_clear_it_is() -> None:
    assert looked((0.2, 30.0, 0.15)).state is EchoState.UNKNOWN


def test_two_very_clear_looks_prove_an_echo_soon() -> None:
    path = looked((0.2, 20.0, 0.15), (0.26, 20.0, 0.15))
    assert (path.state, path.delay) == (EchoState.PROVEN, 0.15)


def test_a_likely_delay_that_comes_again_proves_an_echo() -> None:
    assert looked((0.2, 10.0, 0.15), (0.4, 8.0, 0.152)).state is EchoState.PROVEN


def test_a_likely_delay_does_not_confirm_itself_from_the_same_audio() -> None:
    assert looked((0.2, 10.0, 0.15), (0.22, 10.0, 0.15)).state is EchoState.UNKNOWN


def test_likely_delays_that_differ_prove_nothing() -> None:
    assert looked((0.2, 10.0, 0.15), (0.4, 10.0, 0.3), (0.6, 10.0, 0.05)).state is EchoState.UNKNOWN


def test_sound_played_for_a_while_without_an_echo_means_headphones() -> None:
    assert looked(*strangers(0.1, 0.6)).state is EchoState.UNKNOWN
    assert looked(*strangers(0.1, 0.9)).state is EchoState.NONE


def test_silence_that_is_played_says_nothing() -> None:
    assert looked(*strangers(0.1, 5.0), sounding=False).state is EchoState.UNKNOWN


def test_a_loudspeaker_turned_on_later_is_found() -> None:
    assert looked(*strangers(0.0, 5.0), (5.0, 20.0, 0.2)).state is EchoState.UNKNOWN
    assert looked(*strangers(0.0, 5.0), (5.0, 10.0, 0.2), (5.2, 10.0, 0.2)).state is EchoState.PROVEN


def test_with_headphones_a_voice_that_resembles_the_agents_is_somebody_all_the_same() -> None:
    assert looked(*strangers(0.0, 5.0), (5.0, 10.0, 0.2)).state is EchoState.NONE


def test_talking_over_the_echo_for_a_moment_does_not_hide_it() -> None:
    assert looked(*PROOF, *strangers(0.3, 2.0)).state is EchoState.PROVEN


def test_headphones_plugged_in_are_found() -> None:
    assert looked(*PROOF, *strangers(0.3, 4.0)).state is EchoState.NONE


def test_a_clear_look_corrects_the_guess_before_it() -> None:
    assert looked((0.0, 12.0, 0.107), (0.01, 30.0, 0.114), (0.12, 12.0, 0.1205)).state is EchoState.PROVEN


def test_a_delay_that_moves_is_followed() -> None:
    assert looked(*PROOF, (0.5, 20.0, 0.12), (0.7, 20.0, 0.12)).delay == 0.12


def test_where_an_echo_is_likely_is_known_for_a_while() -> None:
    path = looked((1.0, 10.0, 0.2))
    assert path.candidate(2.0) == 0.2
    assert path.candidate(9.0) is None


@pytest.mark.parametrize("hertz", [(440,), (440, 550, 660), tuple(range(110, 4_400, 110))])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_periodic_is_no_echo_in_a_rooms_own_noise(hertz: tuple[int, ...], seed: int) -> None:
    time = np.arange(12 * RATE) / RATE
    played = np.asarray(sum(np.sin(2 * np.pi * f * time) for f in hertz) * (6_000 / len(hertz)), np.int16)
    noise = np.asarray(np.random.default_rng(seed).normal(0, 100, played.size), np.int16)
    path, delay = EchoPath(), EchoDelay()
    for end in range(2 * RATE, played.size, RATE // 10):
        found = delay.find(noise[end - WINDOW : end], played[end - WINDOW - LONGEST : end], path.candidate(end / RATE))
        path.look(Look(end / RATE, found.strength, found.delay, True))
        assert path.state is not EchoState.PROVEN
