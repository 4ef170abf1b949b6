"""The measure of the attacks: it sees what a server does to its loop, and not what a machine does to a server."""

from __future__ import annotations

import asyncio
import multiprocessing
import time

import pytest
from tests.integration.attacks.victim import FRAME, MARGIN
from tests.integration.attacks.waits import INTERVAL, Looks, ThreadTimes, lateness, quantile_of_waits

LOOKS = 600


def steady(block: float = 0.0, in_line: float = 0.0) -> Looks:
    """Looks every five milliseconds, and in the middle of them a stretch of so much more, in line for so much of it."""
    times, queued = [0.0], [0.0]
    for look in range(1, LOOKS):
        middle = look == LOOKS // 2
        times.append(times[-1] + INTERVAL + (block if middle else 0.0))
        queued.append(queued[-1] + (in_line if middle else 0.0))
    return Looks(tuple(times), tuple(queued))


@pytest.mark.parametrize(
    ("block", "in_line", "seen"), [(0.0, 0.0, False), (0.1, 0.0, True), (0.1, 0.1, False), (0.4, 0.3, True)]
)
def test_a_loop_that_is_kept_for_100_ms_once_in_3_s_is_late_unless_it_stood_in_line(
    block: float, in_line: float, seen: bool
) -> None:
    assert (steady(block, in_line).wait() > MARGIN) is seen


@pytest.mark.parametrize(
    ("stretches", "late", "wait"),
    [([], 0.1, 0.0), ([0.1], 0.04, 0.06), ([0.1, 0.1], 0.04, 0.08), ([0.1, 0.03], 0.07, 0.03), ([0.02], 0.03, 0.0)],
)
def test_a_wait_is_exceeded_by_what_comes_in_the_given_time(stretches: list[float], late: float, wait: float) -> None:
    assert quantile_of_waits(stretches, late) == pytest.approx(wait)
    assert sum(max(0.0, stretch - wait) for stretch in stretches) <= late + 1e-9


def arrivals(held: float, in_line: float) -> Looks:
    """Frames at their pace; those that are due while they are held come together after it."""
    until = 1.0 + held
    times = [until if 1.0 <= number * FRAME < until else number * FRAME for number in range(200)]
    return Looks(tuple(times), tuple(in_line if at >= until else 0.0 for at in times))


@pytest.mark.parametrize(
    ("held", "in_line", "seen"), [(0.0, 0.0, False), (0.3, 0.0, True), (0.3, 0.3, False), (0.6, 0.3, True)]
)
def test_frames_that_are_held_back_are_late_unless_somebody_stood_in_line(
    held: float, in_line: float, seen: bool
) -> None:
    assert (lateness(arrivals(held, in_line), FRAME) > MARGIN) is seen


@pytest.mark.parametrize(("in_line", "late"), [(0.0, 0.05), (0.05, 0.0)])
def test_a_delay_that_stays_is_late_unless_it_began_in_line(in_line: float, late: float) -> None:
    times = tuple(number * FRAME + (0.05 if number > 100 else 0.0) for number in range(200))
    queued = tuple(in_line if number > 100 else 0.0 for number in range(200))
    assert lateness(Looks(times, queued), FRAME) == pytest.approx(late)


def test_who_stood_in_line_while_it_looked_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    queued = iter([0, 80_000_000, 80_000_000, 80_000_000])  # the first look at the clock may have been before or after
    times = ThreadTimes()
    monkeypatch.setattr(times, "_look_at", lambda index: times._queued.__setitem__(index, next(queued)))
    assert times.now()[1] == 0.08
    times.close()


async def looked_at(work: float) -> Looks:
    """A real loop of this thread for a second, in which a callback sleeps for so long."""
    loop, times, looks = asyncio.get_running_loop(), ThreadTimes(), []
    loop.call_later(0.2, time.sleep, work)
    until = time.monotonic() + 1.0
    while not looks or looks[-1][0] < until:
        looks.append(times.now())
        await asyncio.sleep(INTERVAL)  # the looks themselves
    times.close()
    return Looks(*zip(*looks, strict=True))


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_real_loop_that_a_handler_blocks_is_late() -> None:
    assert asyncio.run(looked_at(0.1)).wait() > MARGIN


def test_a_real_loop_on_a_crowded_machine_is_not() -> None:
    context = multiprocessing.get_context("spawn")
    crowd = [context.Process(target=spin, args=(60.0,)) for _ in range(2 * multiprocessing.cpu_count())]
    for one in crowd:
        one.start()
    try:
        looks = asyncio.run(looked_at(0.0))
    finally:
        for one in crowd:
            one.kill()
            one.join()
            one.close()
    assert looks.wait() < MARGIN
