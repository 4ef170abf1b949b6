"""`parley top`: the fleet as a table, in windows of every size."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from parley.cli.fleet_view import draw
from parley.registry import AnnouncedModel, Announcement, WorkerMetrics
from parley.testing.registries import worker

BUSY = WorkerMetrics(12, 1_834.0, 0.93, 128, 256, 9_400_000_000, 12_000_000_000, refused=1_204)


def drawn(*fleet: Announcement, trouble: str = "", width: int = 80, height: int | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(draw(fleet, trouble, width=width, height=height))
    return out.getvalue()


def crowded(name: str = "tts-gpu-7f9c4d-x2x9k", models: int = 4) -> Announcement:
    """A worker whose names and figures are as long as they come."""
    known = tuple(
        AnnouncedModel(
            f"en_US-voice-{number}-medium", memory_bytes=63_000_000, real_time_factor=0.11, is_default=number == 0
        )
        for number in range(models)
    )
    return dataclasses.replace(
        worker(name), device="NVIDIA H200", models=known, resident_models=tuple(m.model_id for m in known), metrics=BUSY
    )


def test_each_worker_has_a_line_with_its_figures() -> None:
    text = drawn(worker("alpha"), worker("beta", port=7200))
    assert "2 workers, 6 sessions, 2 waiting, 0 refused" in text
    for part in ("alpha", "10.0.0.5:7100", "beta", "10.0.0.5:7200", "3/8", "12 ms", "0.25", "tone *"):
        assert part in text


@pytest.mark.parametrize("width", [80, 160])
def test_figures_as_long_as_they_come_are_whole_and_each_on_one_line(width: int) -> None:
    lines = drawn(crowded(), width=width).splitlines()
    assert max(map(len, lines)) <= width
    (row,) = [line for line in lines if line.startswith("tts-gpu")]
    for figure in ("128/256", "12", "1834 ms", "0.93", "1204", "9.4/12.0 GB"):
        assert figure in row


def test_each_model_in_memory_has_a_line_with_its_size_and_its_pace() -> None:
    (row,) = [line for line in drawn(crowded()).splitlines() if "voice-3" in line]
    assert row.split() == ["en_US-voice-3-medium", "0.11", "63", "MB"]


def test_a_lora_is_shown_though_the_catalog_does_not_list_it() -> None:
    assert "tone+anna" in drawn(worker(resident=("tone", "tone+anna")))


def test_a_wide_window_has_room_for_addresses_and_devices_beside_the_names() -> None:
    (row,) = [line for line in drawn(crowded(), width=160).splitlines() if "tts-gpu" in line]
    assert "10.0.0.5:7100" in row
    assert "NVIDIA H200" in row


def test_a_low_window_shows_what_fits_and_says_how_much_does_not() -> None:
    fleet = [crowded(f"worker-{number}") for number in range(9)]
    text = drawn(*fleet, height=24)
    assert len(text.splitlines()) < 24
    assert "38 more lines have no room here" in text
    assert "no room" not in drawn(*fleet)


def test_a_draining_worker_is_marked() -> None:
    text = drawn(dataclasses.replace(worker(), draining=True))
    assert "(draining)" in text
    assert "1 worker (1 draining)" in text


def test_figures_that_are_not_known_are_left_empty() -> None:
    text = drawn(dataclasses.replace(worker(), metrics=WorkerMetrics(), resident_models=()))
    assert "no model in memory" in text
    assert " ms" not in text


def test_a_name_is_no_markup() -> None:
    assert "[/red] [bold]x" in drawn(dataclasses.replace(worker(), name="[/red] [bold]x"))


def test_trouble_with_the_registry_is_said_below() -> None:
    assert "cannot be reached" in drawn(trouble="The registry cannot be reached.")
