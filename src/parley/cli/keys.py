"""``parley keys``: keys with roles, an end and limits, in the file that ``server.keys`` names."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parley.cli import tables
from parley.cli.options import Config, Overrides, settings_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parley.server.keys import Key

app = typer.Typer(
    help="Make, list and take back keys; a running server takes the change within a second.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)

File = Annotated[
    Path | None, typer.Option("--file", help="The file of keys.", show_default="the setting server.keys", envvar=[])
]
_UNITS = {"h": 3600, "d": 86_400, "w": 604_800}


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; stands in the audit log.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="talk, models, metrics or admin; may be repeated.", show_default="talk"),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="Its last day (2030-01-31), or how long it is good for (12h, 30d, 8w).")
    ] = "",
    max_sessions: Annotated[int, typer.Option(help="Most conversations at a time; 0 for no limit.", min=0)] = 0,
    sessions_per_minute: Annotated[
        int, typer.Option(help="Most conversations that begin within a minute; 0 for no limit.", min=0)
    ] = 0,
    file: File = None,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Make a key and print it once: the file holds its digest alone."""
    from parley.errors import InvalidRequest
    from parley.server.keys import KEY_PREFIX, digest_of, read_keys

    path = _path(file, config, set_)
    keys = _keys(path)
    if any(key.name == name for key in keys):
        raise InvalidRequest(f"{path} has a key called {name} already; remove it first, or take another name.")
    made = KEY_PREFIX + secrets.token_urlsafe(32)
    entry = {
        "name": name,
        "sha256": digest_of(made),
        "roles": role or ["talk"],
        "expires": _last_day(expires),
        "max_sessions": max_sessions,
        "sessions_per_minute": sessions_per_minute,
    }
    _write(path, [*keys, *read_keys([entry], "The key")])
    typer.echo(made)
    typer.echo(f"That is the key of {name}, shown this once; {path} has its digest.", err=True)


@app.command("list")
def list_keys(file: File = None, config: Config = None, set_: Overrides = None) -> None:
    """The keys of the file: names, roles, ends and limits."""
    table = tables.plain("", ("name", "expires"), ("roles", "at a time", "a minute"))
    for key in _keys(_path(file, config, set_)):
        end = "" if key.until is None else datetime.fromtimestamp(key.until, UTC).strftime("%Y-%m-%d %H:%M UTC")
        if key.until is not None and key.until < datetime.now(UTC).timestamp():
            end += " (over)"
        limits = (str(limit or "") for limit in (key.max_sessions, key.sessions_per_minute))
        table.add_row(key.name, end, ", ".join(sorted(key.roles)), *limits)
    tables.show(table)


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    file: File = None,
    config: Config = None,
    set_: Overrides = None,
) -> None:
    """Take a key back: nothing more begins with it, nor with a token that it made. What runs goes on."""
    from parley.errors import NotFound

    path = _path(file, config, set_)
    keys = _keys(path)
    left = [key for key in keys if key.name != name]
    if len(left) == len(keys):
        raise NotFound(f"{path} has no key called {name}.")
    _write(path, left)


def _path(file: Path | None, config: list[Path] | None, overrides: list[str] | None) -> Path:
    from parley.errors import ConfigError

    if file is not None:
        return file
    named = settings_from(config, overrides).server.keys
    if not named:
        raise ConfigError("Say which file: set server.keys, or give --file.")
    return Path(named)


def _keys(path: Path) -> tuple[Key, ...]:
    from parley.server.access import keys_in

    return keys_in(str(path)) if path.exists() else ()


def _write(path: Path, keys: Iterable[Key]) -> None:
    """In one step, so that a server never reads half of it; readable by this user, or by whoever could read it."""
    import yaml

    from parley.errors import ConfigError
    from parley.server.keys import as_entry

    text = yaml.safe_dump({"keys": [as_entry(key) for key in keys]}, sort_keys=False, allow_unicode=True)
    try:
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if path.exists():
            os.chmod(beside, path.stat().st_mode & 0o777)
            with contextlib.suppress(PermissionError):
                os.chown(beside, path.stat().st_uid, path.stat().st_gid)
        os.replace(beside, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _last_day(text: str) -> str | None:
    """As the file has it. Raises InvalidRequest."""
    from parley.errors import InvalidRequest

    if not text:
        return None
    if text[:-1].isdigit() and text[-1] in _UNITS:
        try:
            until = datetime.now(UTC) + timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
        except OverflowError:
            raise InvalidRequest(f"{text} is longer than any key is good for.") from None
        return until.isoformat(timespec="seconds")
    return text
