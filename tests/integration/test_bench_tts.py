"""The benchmark of voices measures what it says, on a voice that costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley.bench import tts, tts_parallel
from parley.bench.report import BenchOptions
from parley.errors import InvalidRequest
from parley.testing import tiny_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nothing_left(no_processes_left: None) -> None:
    """Workers and library processes end with the benchmark."""


def test_a_family_is_measured_at_each_number_of_sessions() -> None:
    rows = tts.run(BenchOptions(trials=2, sessions=(1, 2), params={"adapter": "tone"}))
    assert [(row.name, row.n, row.params["sessions"]) for row in rows] == [
        ("first frame", 2, 1),
        ("real-time factor", 2, 1),
        ("cpu", 2, 1),
        ("first frame", 4, 2),
        ("real-time factor", 4, 2),
        ("cpu", 2, 2),
    ]
    assert all(row.p50 is not None and row.load for row in rows)


def test_piper_packs_are_compared_with_the_library(tmp_path: Path) -> None:
    tiny_models.piper_pack(tmp_path)
    options = BenchOptions(trials=1, sessions=(1,), params={"adapter": "piper", "voicepacks": str(tmp_path)})
    rows = {row.name: row for row in tts.run(options)}
    assert rows["cpu through Parley"].p50 > rows["cpu of the library"].p50 > 0
    texts = len(tts.TEXTS)
    for name in ("first frame after the library's", "the library's second run after its first"):
        assert (rows[name].n, rows[name].unit) == (texts, "ms")


def test_one_part_can_be_measured_alone(tmp_path: Path) -> None:
    tiny_models.piper_pack(tmp_path)
    params = {"adapter": "piper", "voicepacks": str(tmp_path)}
    parts = {
        part: {row.name for row in tts.run(BenchOptions(trials=1, sessions=(1,), params={**params, "part": part}))}
        for part in ("sessions", "library")
    }
    assert parts["sessions"] == {"first frame", "real-time factor", "cpu"}
    assert "first frame after the library's" in parts["library"]
    assert not parts["sessions"] & parts["library"]


@pytest.mark.parametrize("params", [{"part": "all"}, {"parallel": "two"}])
def test_a_parameter_that_says_nothing_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="--set"):
        tts.run(BenchOptions(params=params))


def test_a_speech_server_is_measured_like_a_voice_of_our_own() -> None:
    rows = tts.run(BenchOptions(trials=1, sessions=(1,), params={"adapter": "openai-speech"}))
    assert [(row.name, row.params["model"]) for row in rows] == [
        ("first frame", "speech-server"),
        ("real-time factor", "speech-server"),
        ("cpu", "speech-server"),
    ]


@pytest.mark.anyio
async def test_a_voice_slower_than_real_time_ends_sooner_with_sentences_side_by_side(tmp_path: Path) -> None:
    tts_parallel.slow_pack(tmp_path)
    text, model = "The first one. The second one. The third one. The last one.", tts_parallel.SLOW
    alone, together = [
        {row.name: row.p50 for row in await tts_parallel.measure(tmp_path, model, "tone", number, 1, text=text)}
        for number in (1, 3)
    ]
    assert together["whole reply"] < 0.7 * alone["whole reply"]
    assert together["silence within"] < alone["silence within"]


@pytest.mark.anyio
async def test_a_voice_slower_than_real_time_begins_later_and_then_has_no_holes(tmp_path: Path) -> None:
    tts_parallel.slow_pack(tmp_path)
    text, model = "The first one, and the second one, and a third.", tts_parallel.SLOW
    at_once, later = [
        {
            row.name: row.p50
            for row in await tts_parallel.measure(tmp_path, model, "tone", 1, 1, text=text, head_start=head_start)
        }
        for head_start in (0.0, 60.0)
    ]
    assert later["first frame"] > at_once["first frame"]
    assert later["silence within"] < 0.5 * at_once["silence within"]


def test_a_pack_that_can_not_be_loaded_is_said_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_models.kokoro_pack(tmp_path)
    (folder / "model.onnx").write_bytes(b"broken")
    assert tts.run(BenchOptions(trials=1, params={"adapter": "kokoro", "voicepacks": str(tmp_path)})) == []
    assert "model.onnx (6 bytes) is not an ONNX model" in capsys.readouterr().err
