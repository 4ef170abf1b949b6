"""``parley models``: every model that is known, the voices of the workers, and fetching new ones."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parley.cli import tables
from parley.cli.options import Config, Overrides, settings_from
from parley.cli.pull import pull, remove
from parley.hints import command
from parley.values import with_lora

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from rich.console import Group
    from rich.table import Table

    from parley.config import Settings
    from parley.rpc.client import WorkerClient
    from parley.rpc.values import ModelStatus

DEFAULT_WORKER = "127.0.0.1:50051"
_STATE_STYLE = {"resident": "green", "loading": "yellow", "evicting": "yellow", "failed": "red", "available": "dim"}

app = typer.Typer(
    help="List, show, fetch and remove models; load, unload and reload voices.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

Workers = Annotated[
    list[str] | None,
    typer.Option(
        "--worker", "-w", help="Worker's address, host:port; repeat it for several. Default: the whole fleet."
    ),
]
Model = Annotated[str, typer.Argument(help="A model's id or alias.")]
Lora = Annotated[str, typer.Option(help="One of the model's LoRAs, instead of the model alone.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command("list")
def list_models(
    workers: Workers = None, config: Config = None, set_: Overrides = None, as_json: AsJson = False
) -> None:
    """All models: ears, voices, turn models, language models; where each comes from, and which are here and in use.

    Where workers run, their voices follow, and where each is in its life; with --worker these alone.
    """
    from parley.cli.inventory import in_use, inventory, listing

    if workers:
        with ask_workers(workers, config, set_, _models_of) as answers:
            _print_answers(answers, as_json=as_json)
        return
    settings = settings_from(config, set_)
    use = in_use(settings)
    models = inventory(settings, use)
    if not as_json:
        tables.show(listing(models, use))
    with _asked_if_there(config, set_) as answers:
        if as_json:
            listed = {"models": [model.as_dict() for model in models], "used_by": use.by, "workers": _states(answers)}
            typer.echo(json.dumps(listed, indent=1))
        else:
            _print_answers(answers, as_json=False)


@app.command("show")
def show(
    model: Model, workers: Workers = None, config: Config = None, set_: Overrides = None, as_json: AsJson = False
) -> None:
    """Everything about one model: its licence and its engine's, its origin, and where it is in its life."""
    from parley.cli.inventory import details, in_use, inventory
    from parley.errors import NotFound

    settings = settings_from(config, set_)
    use = in_use(settings)
    wanted = _meant(settings, model)
    known = [] if workers else [listed for listed in inventory(settings, use) if listed.model_id == wanted]
    asked = ask_workers(workers, config, set_, _models_of) if workers else _asked_if_there(config, set_)
    with asked as answers:
        found = [(where, status) for where, models in answers for status in models if status.info.model_id == wanted]
        if not found and not known:
            raise NotFound(f"No model {model!r} is known; `{command('models list')}` shows what there is.")
        if as_json:
            states = {address: _as_dict(status) for address, status in found}
            said = states if workers else {**known[0].as_dict(), "workers": states} if known else {"workers": states}
            typer.echo(json.dumps(said, indent=1))
            return
        for listed in known:
            tables.show(details(listed, use))
        for address, status in found:
            tables.show(_details(address, status))


@app.command("load")
def load(
    model: Model,
    workers: Workers = None,
    config: Config = None,
    set_: Overrides = None,
    pin: Annotated[bool, typer.Option("--pin", help="Keep it in memory until it is unloaded.")] = False,
    lora: Lora = "",
) -> None:
    """Bring a model into memory and warm it up; the next utterance that asks for it starts at once."""
    model = with_lora(model, lora)
    with ask_workers(workers, config, set_, lambda client: client.load(model, pin=pin)) as answers:
        for address, (status, seconds) in answers:
            took = f"in {seconds:.2f} s" if seconds else "(it was there already)"
            pinned = ", pinned" if status.pinned else ""
            typer.echo(f"{address}: {status.info.model_id} is {status.state} {took}{pinned}.")


@app.command("unload")
def unload(
    model: Model, workers: Workers = None, config: Config = None, set_: Overrides = None, lora: Lora = ""
) -> None:
    """Take a model, or a LoRA of it alone, out of memory. One that somebody uses is refused."""
    model = with_lora(model, lora)
    with ask_workers(workers, config, set_, lambda client: client.unload(model)) as answers:
        for address, freed in answers:
            typer.echo(f"{address}: {model} is unloaded{f', {freed / 1e6:.0f} MB came back' if freed else ''}.")


@app.command("reload")
def reload(
    model: Model, workers: Workers = None, config: Config = None, set_: Overrides = None, lora: Lora = ""
) -> None:
    """Read a model again from disk. What was serving stays when that fails; running utterances are not touched."""
    model = with_lora(model, lora)
    with ask_workers(workers, config, set_, lambda client: client.reload(model)) as answers:
        for address, _ in answers:
            typer.echo(f"{address}: {model} was read again.")


app.command("pull")(pull)
app.command("remove")(remove)


async def _models_of(client: WorkerClient) -> Sequence[ModelStatus]:
    return await client.models()


def _states(answers: list[tuple[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {address: [_as_dict(model) for model in models] for address, models in answers}


def _print_answers(answers: list[tuple[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_states(answers), indent=1))
        return
    for address, models in answers:
        tables.show(_table(address, models))


def _meant(settings: Settings, name: str) -> str:
    """The model behind an alias."""
    from parley.cli.shelf import opened

    catalog, _ = opened(settings)
    return catalog.aliases.get(name, name)


@contextmanager
def _asked_if_there(config: list[Path] | None, overrides: list[str] | None) -> Iterator[list[tuple[str, Any]]]:
    """The models of all workers that the settings lead to, or that run here; none where there is nobody to ask."""
    from parley.errors import UnavailableError

    settings = settings_from(config, overrides)
    named = settings.registry.url or settings.routing.workers
    with ExitStack() as stack:
        answers: list[tuple[str, Any]] = []
        try:
            answers = stack.enter_context(ask_workers(None, config, overrides, _models_of))
        except UnavailableError:
            if named:
                raise
        yield answers


@contextmanager
def ask_workers(
    workers: Sequence[str] | None,
    config: list[Path] | None,
    overrides: list[str] | None,
    question: Callable[[Any], Awaitable[Any]],
) -> Iterator[list[tuple[str, Any]]]:
    """Ask every worker at once. Answers of those that have one; the others are reported, and the exit status is 1.

    Raises what the first one said when none has an answer.
    """
    from parley.errors import ParleyError

    settings = settings_from(config, overrides)
    answers = asyncio.run(_ask_all(workers, settings, question))
    failed = [(address, answer) for address, answer in answers if isinstance(answer, ParleyError)]
    if failed and len(failed) == len(answers):
        raise failed[0][1]
    for address, failure in failed:
        typer.echo(f"{address}: {failure}", err=True)
    yield [(address, answer) for address, answer in answers if not isinstance(answer, ParleyError)]
    if failed:
        raise typer.Exit(1)


async def _ask_all(
    workers: Sequence[str] | None, settings: Settings, question: Callable[[Any], Awaitable[Any]]
) -> list[tuple[str, Any]]:
    from parley.errors import ParleyError
    from parley.rpc.client import WorkerAccess, WorkerClient

    routing = settings.routing
    tls = routing.tls
    access = WorkerAccess(
        api_key=routing.api_key or settings.worker.api_key,
        tls=tls.enabled,
        ca=tls.ca,
        cert=tls.certificate,
        key=tls.key,
        server_name=tls.server_name,
    )

    async def one(address: str) -> Any:
        client: WorkerClient = WorkerClient(address, access)
        try:
            return await question(client)
        except ParleyError as error:
            return error
        finally:
            await client.aclose()

    addresses = list(workers or await _fleet(settings))
    answers = await asyncio.gather(*(one(address) for address in addresses))
    return list(zip(addresses, answers, strict=True))


async def _fleet(settings: Settings) -> list[str]:
    """Addresses of all workers that the settings lead to; else this machine's: of `parley up`, or a single one."""
    from parley.cli.running import workers_here
    from parley.errors import UnavailableError
    from parley.registry import open_registry

    if not settings.registry.url:
        return list(settings.routing.workers or workers_here()) or [DEFAULT_WORKER]
    registry = open_registry(settings.registry)
    try:
        announced = await registry.list()
        health = registry.health
    finally:
        await registry.aclose()
    if announced:
        return sorted(worker.address for worker in announced)
    raise UnavailableError(
        health.detail or f"No worker is announced in the registry; start one with `{command('worker')}`."
    )


def _as_dict(status: ModelStatus) -> dict[str, Any]:
    return {**asdict(status.info), **{key: value for key, value in asdict(status).items() if key != "info"}}


def _table(address: str, models: Sequence[ModelStatus]) -> Group:
    """One line a model, and below them why those that failed did."""
    from rich.console import Group
    from rich.markup import escape

    table = tables.plain(
        f"{address}: {len(models)} models", ("model", "state", "family"), ("languages", "speakers", "memory")
    )
    for status in models:
        info = status.info
        notes = [word for word, on in (("default", status.is_default), ("pinned", status.pinned)) if on]
        notes += [f"{status.leases} in use"] if status.leases else []
        style = _STATE_STYLE.get(status.state, "")
        table.add_row(
            escape(info.model_id),
            f"[{style}]{status.state}[/]" + (f", {', '.join(notes)}" if notes else ""),
            info.family,
            tables.short(info.languages),
            str(len(info.speakers)) if info.speakers else "",
            f"{info.memory_bytes / 1e6:.0f} MB" if info.memory_bytes else "?",
        )
    failed = [f"[red]{escape(m.info.model_id)}[/]: {escape(m.error)}" for m in models if m.error]
    return Group(table, *failed)


def _details(address: str, status: ModelStatus) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{status.info.model_id} on {address}", title_justify="left", show_header=False)
    for key, value in _as_dict(status).items():
        if isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        table.add_row(key.replace("_", " "), escape(str(value)))
    return table
