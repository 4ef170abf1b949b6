"""`parley workers` against a registry that is not there."""

from __future__ import annotations

import json

import pytest

from parley import cli


def test_without_any_worker_the_command_fails_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["workers", "--json", "--registry", "redis://127.0.0.1:1/0"])
    captured = capsys.readouterr()
    assert end.value.code == 1
    assert json.loads(captured.out) == []
    assert "cannot be reached" in captured.err
