"""What ``parley chat`` shows: state, transcript and latencies; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parley.client.conversation import Conversation, Line

_STYLES = {"you": "bold cyan", "parley": "bold magenta"}
_AGENT = {
    "idle": ("○", "dim"),
    "listening": ("●", "green"),
    "thinking": ("◐", "yellow"),
    "speaking": ("▶", "magenta"),
    "barged_in": ("‖", "red"),
    "terminated": ("■", "dim"),
}
_SHOWN_LINES = 12
_REFRESH = 12


@contextlib.contextmanager
def view(conversation: Conversation, url: str, *, typing: bool) -> Iterator[Callable[[], None]]:
    """Show the conversation while the block runs; call what it yields after each change."""
    console = Console()
    if not console.is_terminal or typing:
        printer = _Printer(console, conversation)
        yield printer.changed
        printer.finish()
        return
    with Live(_Screen(conversation, url), console=console, refresh_per_second=_REFRESH):
        yield lambda: None


class _Screen:
    """Drawn anew by rich at its own pace, so that a burst of messages costs nothing."""

    def __init__(self, conversation: Conversation, url: str) -> None:
        self._conversation = conversation
        self._url = url

    def __rich__(self) -> Group:
        conversation = self._conversation
        mark, style = _AGENT.get(conversation.agent, ("?", ""))
        head = Text.assemble(
            (f"{mark} {conversation.agent.replace('_', ' ')}", style),
            ("   you are speaking" if conversation.participant == "speaking" else "   you are silent", "dim"),
            (f"   voice {conversation.voice}" if conversation.voice else "", "dim"),
        )
        lines = [_line(line) for line in conversation.lines[-_SHOWN_LINES:] if line.text]
        foot = [Text(_latencies(conversation), style="dim")] if conversation.latencies else []
        if conversation.decision:
            foot.append(Text(f"last interruption: {conversation.decision}", style="dim"))
        if conversation.failed:
            foot.append(Text(conversation.failed, style="red"))
        body = Group(*lines) if lines else Text("Say something.", style="dim")
        return Group(head, Panel(body, title=self._url, subtitle="Ctrl-C ends", border_style="dim"), *foot)


class _Printer:
    """Each line once, when it is complete."""

    def __init__(self, console: Console, conversation: Conversation) -> None:
        self._console = console
        self._conversation = conversation
        self._printed: set[int] = set()
        self._failed = ""
        self._latencies: dict[str, float] = {}

    def changed(self) -> None:
        conversation = self._conversation
        for index, line in enumerate(conversation.lines):
            if line.done and index not in self._printed:
                self._print(index, line)
        if conversation.failed != self._failed:
            self._failed = conversation.failed
            self._console.print(Text(self._failed, style="red"))
        if conversation.latencies != self._latencies:
            self._latencies = conversation.latencies
            self._console.print(Text(_latencies(conversation), style="dim"), soft_wrap=True)

    def finish(self) -> None:
        for index, line in enumerate(self._conversation.lines):
            if index not in self._printed:
                self._print(index, line)

    def _print(self, index: int, line: Line) -> None:
        self._printed.add(index)
        if line.text:
            self._console.print(_line(line), soft_wrap=True)


def _line(line: Line) -> Text:
    note = f"  ({line.note})" if line.note else ""
    return Text.assemble((f"{line.who}: ", _STYLES[line.who]), line.text.strip(), (note, "dim"))


def _latencies(conversation: Conversation) -> str:
    stages = "  ".join(f"{stage} {value:.0f}" for stage, value in conversation.latencies.items())
    return f"ms after your last sound: {stages}"
