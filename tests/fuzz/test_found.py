"""What fuzzing has found, and its siblings: files that are no YAML are refused in a sentence that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.config import load_settings
from parley.errors import ConfigError
from parley.worker.metadata import read_pack

DEEP = "a: " + '{"a":' * 3_000 + "1" + "}" * 3_000
ALIASES = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
CASES = pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "nests too deeply"),
        (DEEP.rstrip("}"), "YAML"),
        ("a: 2030-02-31\n", "day is out of range"),
        ("a: " + "[" * 100_000, "nests too deeply"),  # more than the C library's stack holds
        ("a: &a [*a, *a]\n", "nests too deeply"),
        (ALIASES, "aliases make too much of it"),
    ],
    ids=["deep", "deep and broken", "no such day", "very deep", "itself", "doubled again and again"],
)


@CASES
def test_settings_that_no_parser_reads_are_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"c\.yaml.*{said}"):
        load_settings([path], environ={})


@CASES
def test_a_voice_pack_that_no_parser_reads_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "piper" / "a"
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"metadata\.yaml.*{said}"):
        read_pack(folder)
