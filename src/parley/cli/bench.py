"""``parley bench``: every number in the documentation, printed by the command that stands beside it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from parley.bench.report import BenchOptions, Row


class Bench(NamedTuple):
    """A benchmark by name; its module is imported when it is asked for."""

    module: str
    help: str


BENCHES: dict[str, Bench] = {
    "barge-in": Bench("parley.bench.barge_in", "first speech sample sent -> agent silent at the client"),
    "first-audio": Bench("parley.bench.first_audio", "text in -> first frame at the client"),
    "turn": Bench("parley.bench.turn", "last speech frame sent -> first audio of the answer"),
    "chain": Bench("parley.bench.chain", "the same with real models everywhere: where the time goes, and the shares"),
    "concurrency": Bench("parley.bench.concurrency", "CPU, jitter, lateness and memory with N sessions"),
    "pause-resume": Bench("parley.bench.pause_resume", "samples lost or repeated by pauses, and how fast they act"),
    "heard-words": Bench("parley.bench.heard_words", "words the history holds against words really heard"),
    "turns": Bench("parley.bench.turns", "conversation quality over a corpus with a known truth"),
    "vad": Bench("parley.bench.vad", "onset delay, false alarms and cost of each voice activity detector"),
    "asr": Bench("parley.bench.asr", "word's end -> partial transcript, turn's end -> final, per recogniser"),
    "ears-fair": Bench("parley.bench.ears_fair", "a short question is answered while others talk without a pause"),
    "echo": Bench("parley.bench.echo", "the agent's own voice in the microphone: taken out, recognised, at what cost"),
    "tts": Bench("parley.bench.tts", "first frame, real-time factor and CPU of each voice adapter"),
    "routing": Bench("parley.bench.routing", "1,000 sessions over 50 workers, simulated"),
    "failover": Bench("parley.bench.failover", "the speaking worker is killed: gap, words lost or repeated"),
    "transports": Bench("parley.bench.transports", "CPU and lateness of each transport with N sessions"),
    "realtime": Bench("parley.bench.realtime", "OpenAI's Realtime interface: first audio, onset -> last audio"),
    "budget": Bench("parley.bench.budget", "first sound when something is late, with the budget policy and without"),
    "traces": Bench("parley.bench.traces", "CPU of a session with every turn traced, and without"),
    "browser": Bench("parley.bench.browser", "barge-in as a browser hears it"),
    "captions": Bench("parley.bench.captions", "words on the page against their sound; what its picture costs"),
    "report": Bench(
        "parley.bench.whole", "one page with plots of what the others wrote with --json, beside an earlier run"
    ),
}


_PAPER_WIDTH = 150
"""Columns of a table that goes to a file."""


def bench(
    name: Annotated[str, typer.Argument(help="Which one; `parley bench list` says what each measures.")],
    url: Annotated[str, typer.Option(help="Measure a running Parley instead of starting one.")] = "",
    json: Annotated[Path | None, typer.Option(help="Also write the rows to this file.")] = None,
    trials: Annotated[int, typer.Option(min=0, help="How many trials; 0 for the usual number.")] = 0,
    sessions: Annotated[str, typer.Option(help="Numbers of sessions, e.g. 10,50,120.")] = "",
    seed: Annotated[int, typer.Option(help="For everything random.")] = 1,
    adapter: Annotated[list[str] | None, typer.Option(help="tts: only this family of voices; repeat it.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="More parameters: name=value.")] = None,
) -> None:
    """Measure. Without --url a server and a worker are started on free ports and stopped afterwards.

    The rows of --json are {name, unit, n, p50, p95, p99, goal, met, params, load, note}. Speech is synthesised at run
    time.
    """
    from rich.console import Console

    from parley.bench.report import BenchOptions, show, write_json
    from parley.errors import ParleyError

    if name == "list":
        for key, entry in BENCHES.items():
            typer.echo(f"{key:14} {entry.help}")
        return
    if name not in BENCHES:
        raise typer.BadParameter(f"there is no benchmark {name}; there are {', '.join(BENCHES)}")
    params = ({"adapter": ",".join(adapter)} if adapter else {}) | _params(set_ or [])
    options = BenchOptions(url, trials, _numbers(sessions), seed, params)
    try:
        rows = _run(name, options)
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PAPER_WIDTH)
        show(console, f"parley bench {name}: {BENCHES[name].help}", rows)
        if json is not None:
            write_json(json, rows)
        if options.unread:
            said = f"{name} did not ask for {', '.join(options.unread)}; it asked for {', '.join(sorted(options.read))}"
            typer.echo(f"parley bench: these figures were taken without what was set: {said}.", err=True)
    except ParleyError as error:
        typer.echo(f"parley bench: {error.message}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"parley bench: {error}.", err=True)
        raise typer.Exit(1) from None


def _run(name: str, options: BenchOptions) -> list[Row]:
    from parley.errors import ConfigError

    try:
        module = importlib.import_module(BENCHES[name].module)
    except ImportError as error:
        raise ConfigError(f"The benchmark {name} needs a package that is not installed ({error.name}).") from error
    rows: list[Row] = module.run(options)
    return rows


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise typer.BadParameter(f"--sessions takes numbers such as 10,50, not {text}") from None
    if any(number < 1 for number in numbers):
        raise typer.BadParameter("--sessions takes numbers from 1 on")
    return numbers


def _params(pairs: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"--set takes name=value, not {pair}")
        params[name.strip()] = value.strip()
    return params
