"""What a benchmark was told by --set and did not ask for is said beside its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley import cli

if TYPE_CHECKING:
    from parley.bench.report import BenchOptions, Row


@pytest.mark.parametrize(("given", "said"), [("snr=10", ""), ("snr_db=10", "snr_db"), ("worker.max_queue=9", "")])
def test_a_parameter_that_nobody_asked_for_is_named_with_those_that_were(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(options: BenchOptions) -> list[Row]:
        options.number("snr", 20)
        return []

    monkeypatch.setattr("parley.bench.barge_in.run", run)
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "barge-in", "--set", given])
    assert end.value.code == 0
    error = capsys.readouterr().err
    assert (f"did not ask for {said}; it asked for snr." in error) if said else not error
