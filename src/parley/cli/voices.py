"""``parley voices``: recordings of people that become voices of the models that clone."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parley.cli import tables
from parley.cli.models import AsJson, Workers, ask_workers
from parley.cli.options import Config, Overrides, settings_from
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.config import Settings
    from parley.rpc.client import WorkerClient
    from parley.rpc.values import ClonedVoice, NewVoice

app = typer.Typer(
    help="Make voices of recordings of people, list and remove them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

Name = Annotated[str, typer.Argument(help="The voice's name: letters, digits, '_' and '-'.")]
Model = Annotated[str, typer.Option(help="The model that speaks with it; not needed where only one clones.")]


@app.command("add")
def add(
    name: Name,
    file: Annotated[Path, typer.Option("--from", help="Recording of one person: 6 to 30 s of clean speech.")],
    consent: Annotated[
        bool, typer.Option("--consent", help="The person in the recording has agreed; noted with the date.")
    ] = False,
    text: Annotated[str, typer.Option(help="What is said in it; left out, the recogniser writes it down.")] = "",
    model: Model = "",
    language: Annotated[str, typer.Option(help="Language of the recording (BCP 47), for the recogniser.")] = "",
    workers: Workers = None,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Make a voice of a recording: from then on it speaks wherever MODEL/NAME is asked for."""
    from parley.api.requests import voice_request
    from parley.api.voices import NOBODY, chosen
    from parley.errors import InvalidRequest, PreconditionFailed
    from parley.values import CLONING

    if not consent:
        raise InvalidRequest("Say --consent when the person in the recording has agreed that this voice is made.")
    asked = voice_request({"name": name, "consent": "true", "text": text, "language": language})
    settings = settings_from(config, set_)
    with ask_workers(workers, config, set_, lambda client: client.models()) as answers:
        tagged = [(where, status.info) for where, models in answers for status in models if CLONING in status.info.tags]
    cloners = sorted({info.model_id for _, info in tagged})
    if not cloners:
        raise PreconditionFailed(NOBODY)
    wanted = chosen(model, cloners)
    new = asyncio.run(_made(settings, _read(file), wanted, asked))

    async def keep(client: WorkerClient) -> ClonedVoice:
        return await client.add_voice(new)

    where = [address for address, info in tagged if info.model_id == wanted]
    with ask_workers(where, config, set_, keep) as kept:
        for address, voice in kept:
            typer.echo(f"{address}: {wanted}/{name} speaks now, from {voice.seconds:.1f} s of recording.")
    if new.text_heard:
        typer.echo(f"The recogniser wrote down what is said in it: {new.text}")
        typer.echo("Where that is wrong, remove the voice and add it again with --text.")


@app.command("list")
def list_voices(
    workers: Workers = None, config: Config = None, set_: Overrides = None, as_json: AsJson = False
) -> None:
    """The voices that were made from recordings, and when the people in them agreed."""
    with ask_workers(workers, config, set_, _voices_of) as answers:
        if as_json:
            said = {address: [asdict(voice) for voice in voices] for address, voices in answers}
            typer.echo(json.dumps(said, indent=1))
            return
        for address, voices in answers:
            tables.show(_table(address, voices))


@app.command("remove")
def remove(
    name: Name, model: Model = "", workers: Workers = None, config: Config = None, set_: Overrides = None
) -> None:
    """Delete a voice: its recording, its text, and what the models in memory have made of it."""
    from parley.errors import InvalidRequest, NotFound

    with ask_workers(workers, config, set_, _voices_of) as answers:
        having = [(where, voice.model_id) for where, voices in answers for voice in voices if voice.name == name]
    models = sorted({model_id for _, model_id in having if not model or model_id == model})
    if not models:
        raise NotFound(
            f"There is no voice {name!r} that was made from a recording; `{command('voices list')}` has them."
        )
    if len(models) > 1:
        raise InvalidRequest(f"Several models have a voice {name!r} ({', '.join(models)}); name one with --model.")

    async def drop(client: WorkerClient) -> None:
        with suppress(NotFound):  # another worker, which shares the folder, was faster
            await client.remove_voice(models[0], name)

    with ask_workers([where for where, model_id in having if model_id == models[0]], config, set_, drop) as gone:
        for address, _ in gone:
            typer.echo(f"{address}: {models[0]}/{name} is deleted.")


async def _voices_of(client: WorkerClient) -> Sequence[ClonedVoice]:
    return await client.voices()


def _read(file: Path) -> bytes:
    """A recording of a size that is taken. Raises InvalidRequest."""
    from parley.api.settings import ApiSettings
    from parley.errors import InvalidRequest

    most = ApiSettings().largest_file
    try:
        if file.stat().st_size > most:
            raise InvalidRequest(f"{file} is larger than {most} bytes; cut the recording to half a minute.")
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} can not be read: {error.strerror or error}.") from None


async def _made(settings: Settings, file: bytes, model: str, asked: Any) -> NewVoice:
    from parley.api.recordings import Recording
    from parley.api.voices import LONGEST_FILE, voice_from
    from parley.cli.compose import open_recognizer

    recording = Recording(LONGEST_FILE)
    try:
        await recording.open_voice(file)
        ears = open_recognizer(settings)
        try:
            return await voice_from(recording, ears, model, asked)
        finally:
            await ears.aclose()
    finally:
        await recording.aclose()


def _table(address: str, voices: Sequence[ClonedVoice]) -> Any:
    from rich.markup import escape

    table = tables.plain(f"{address}: {len(voices)} voices from recordings", ("voice", "consent"), ("seconds", "text"))
    for voice in voices:
        text = "heard" if voice.text_heard else "given"
        table.add_row(escape(f"{voice.model_id}/{voice.name}"), escape(voice.consent_at), f"{voice.seconds:.1f}", text)
    return table
