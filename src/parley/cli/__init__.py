"""The command line: one module per command, imported when it is called.

A module offers its command as a function of the command's own name, or as a ``typer.Typer``
called ``app`` where there are subcommands. ``main`` turns every error that Parley raises on
purpose into one sentence and an exit code: 1 something failed, 2 wrong usage or a wrong setting,
130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Any

# Before numpy is imported. Our matrices are small: a second thread of OpenBLAS gains nothing for them, and whoever
# waits for it burns a time slice, with everybody's sound behind it. Engines bring thread pools of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("parley.cli.up", "Start everything on this machine, and talk."),
    "chat": ("parley.cli.chat", "Talk to Parley from the terminal: microphone, WAV file or text."),
    "say": ("parley.cli.say", "Speak a text, or text that is still arriving, into a WAV file or aloud."),
    "serve": ("parley.cli.serve", "Start an orchestrator in front of workers that run elsewhere."),
    "worker": ("parley.cli.worker", "Start a TTS worker: one process that speaks."),
    "top": ("parley.cli.top", "Show the fleet of workers, live: models, sessions, queues, latencies, refusals."),
    "workers": ("parley.cli.workers", "The same as top."),
    "pull": ("parley.cli.pull", "Fetch models: voices, recognisers, turn models; 'recommended' for a conversation."),
    "models": ("parley.cli.models", "List, show, fetch and remove models; load, unload and reload voices."),
    "voices": ("parley.cli.voices", "Make voices of recordings of people, list and remove them."),
    "keys": ("parley.cli.keys", "Make, list and take back keys with roles, an end and limits."),
    "engines": ("parley.cli.engines", "List, install and remove engines that need an environment of their own."),
    "mcp": ("parley.cli.mcp", "Speak and listen for an MCP client: tools on standard input and output."),
    "bench": ("parley.cli.bench", "Measure; every number in the documentation comes from here."),
    "replay": ("parley.cli.replay", "Run a recorded session again, with the same or other settings."),
    "config": ("parley.cli.config", "Show, check and write settings."),
    "doctor": ("parley.cli.doctor", "Say what is installed, reachable and missing, and what mends it."),
}
"""Name -> module and one line of help; in the order in which the help shows them."""

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class LazyGroup(TyperGroup):
    """Knows its commands by name; imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with the command's help line: enough for the list."""
        if cmd_name not in COMMANDS:
            return None
        line = COMMANDS[cmd_name][1]
        return TyperCommand(cmd_name, help=line, short_help=line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest


def load_command(name: str) -> Any:
    """The real command behind a name."""
    module = import_module(COMMANDS[name][0])
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        app.command(name)(getattr(module, name.replace("-", "_")))
    command = typer.main.get_command(app)
    command.name = name
    return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _version(wanted: bool) -> None:
    if wanted:
        from parley import __version__

        typer.echo(f"parley {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the stack trace behind an error."),
) -> None:
    """Self-hosted, realtime, full-duplex voice chat.

    Start with `parley up`, then open the page that it prints or run `parley chat`.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; never returns, and never shows a stack trace unless --debug is given."""
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(words, debug="--debug" in words))


def _run(words: list[str], *, debug: bool) -> int:
    from parley.errors import ConfigError, InvalidRequest, ParleyError

    try:
        app(args=[word for word in words if word != "--debug"], prog_name="parley")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_FAILED
    except ParleyError as error:
        if debug:
            raise
        print(f"parley: {error.message}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, ConfigError | InvalidRequest) else EXIT_FAILED
    except Exception as error:  # our own code, at the very top: one sentence in place of a traceback
        if debug:
            raise
        print(f"parley: unexpected {type(error).__name__}: {error} (run it again with --debug).", file=sys.stderr)
        return EXIT_FAILED
    finally:
        gc.enable()  # a command that did not come to the end of its start has left it off
    return 0
