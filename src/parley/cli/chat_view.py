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

    from rich.console import ConsoleOptions, RenderResult

    from parley.cli.line_editor import LineEditor
    from parley.client.conversation import Conversation, Line

_STYLES = {"you": "bold cyan", "parley": "bold magenta", "tool": "dim", "note": "yellow"}
_AGENT = {
    "idle": ("○", "dim"),
    "listening": ("●", "green"),
    "thinking": ("◐", "yellow"),
    "speaking": ("▶", "magenta"),
    "barged_in": ("‖", "red"),
    "terminated": ("■", "dim"),
}
_MOST_ROWS = 16
"""Of the conversation, in a window that has room for them."""
_AROUND = 8
"""Rows of the screen that are not the conversation: state, frame, latencies, decision, failure, input, cursor."""
_REFRESH = 12


@contextlib.contextmanager
def view(
    conversation: Conversation, url: str, *, typing: bool, editor: LineEditor | None = None
) -> Iterator[Callable[[], None]]:
    """Show the conversation while the block runs; call what it yields after each change."""
    console = Console()
    if not console.is_terminal or typing:
        printer = _Printer(console, conversation)
        yield printer.changed
        printer.finish()
        return
    with Live(_Screen(conversation, url, editor), console=console, refresh_per_second=_REFRESH):
        yield lambda: None


class _Screen:
    """Drawn anew by rich at its own pace, so that a burst of messages costs nothing.

    What was said last is whole, in however few columns and rows there are; older lines leave first.
    """

    def __init__(self, conversation: Conversation, url: str, editor: LineEditor | None = None) -> None:
        self._conversation = conversation
        self._url = url
        self._editor = editor

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        conversation = self._conversation
        mark, style = _AGENT.get(conversation.agent, ("?", ""))
        yield _one_row(
            (f"{mark} {conversation.agent.replace('_', ' ')}", style),
            ("   you are speaking" if conversation.participant == "speaking" else "   you are silent", "dim"),
            (f"   voice {conversation.voice}" if conversation.voice else "", "dim"),
        )
        rows = self._last_rows(
            console, max(1, options.max_width - 4), min(_MOST_ROWS, max(1, console.height - _AROUND))
        )
        body = Group(*rows) if rows else Text("Say something, or type; /help lists commands.", style="dim")
        yield Panel(body, title=Text(self._url, no_wrap=True, overflow="ellipsis"), border_style="dim")
        if conversation.latencies:
            yield _one_row((_latencies(conversation), "dim"))
        if conversation.decision:
            yield _one_row((f"last interruption: {conversation.decision}", "dim"))
        if conversation.failed:
            yield _one_row((conversation.failed, "red"))
        # The end of what is typed is what one looks at.
        typed = self._editor.text if self._editor else ""
        yield _one_row(("> ", "bold"), typed[-max(1, options.max_width - 4) :], ("▏", "dim"))

    def _last_rows(self, console: Console, width: int, most: int) -> list[Text]:
        rows: list[Text] = []
        for line in reversed(self._conversation.lines):
            if line.text:
                rows = [*_line(line).wrap(console, width), *rows]
            if len(rows) >= most:
                break
        return rows[-most:]


def _one_row(*parts: str | tuple[str, str]) -> Text:
    text = Text.assemble(*parts)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


class _Printer:
    """Replies as they are spoken, piece by piece; what was understood of the participant once that is final."""

    def __init__(self, console: Console, conversation: Conversation) -> None:
        self._console = console
        self._conversation = conversation
        self._printed: dict[int, str] = {}
        """Line -> what stands of it in the output."""
        self._ended: set[int] = set()
        self._open: int | None = None
        """The line that the output's last line belongs to, while it may still grow."""
        self._notes: dict[int, str] = {}
        """Calls of tools -> where they stood when that was printed."""
        self._failed = ""
        self._latencies: dict[str, float] = {}

    def changed(self) -> None:
        conversation = self._conversation
        if conversation.failed != self._failed:
            self._failed = conversation.failed
            self._alone(Text(self._failed, style="red"))
        for index, line in enumerate(conversation.lines):
            if line.who == "tool":
                self._tool(index, line)
            elif index not in self._ended and (line.done or line.who == "parley"):
                self._go_on(index, line)
        if not conversation.speaking_replies:
            self._measured()

    def finish(self) -> None:
        for index, line in enumerate(self._conversation.lines):
            if line.who != "tool" and index not in self._ended:
                self._go_on(index, line)
        self._measured()
        self._break()

    def _tool(self, index: int, line: Line) -> None:
        """Each step of a call stands on a line of its own."""
        if self._notes.get(index) != line.note:
            self._notes[index] = line.note
            self._alone(Text(f"tool: {line.text}, {line.note}", "dim"))

    def _measured(self) -> None:
        if self._conversation.latencies != self._latencies:
            self._latencies = self._conversation.latencies
            self._alone(Text(_latencies(self._conversation), style="dim"))

    def _go_on(self, index: int, line: Line) -> None:
        """Print what is new of a line, and its end."""
        text, printed = line.text.strip(), self._printed.get(index, "")
        if text.startswith(printed) and len(text) > len(printed):
            new = text[len(printed) :]
            if index != self._open:
                self._break()
                self._open = index
                self._write(Text(f"{line.who}: ", _STYLES[line.who]))
                new = new.lstrip()
            self._write(Text(new))
            self._printed[index] = text
        if line.done:
            self._end(index, line)

    def _end(self, index: int, line: Line) -> None:
        self._ended.add(index)
        note = _end_note(line, self._printed.get(index, ""))
        if self._open == index:
            self._write(Text(note, "dim"))
            self._break()
        elif note and index in self._printed:
            self._alone(Text(f"{line.who}: {note.strip()}", "dim"))

    def _alone(self, text: Text) -> None:
        self._break()
        self._console.print(text, soft_wrap=True)

    def _break(self) -> None:
        if self._open is not None:
            self._open = None
            self._console.print()

    def _write(self, text: Text) -> None:
        self._console.print(text, end="", soft_wrap=True)


def _end_note(line: Line, printed: str) -> str:
    """How a line ended; of a reply that was cut off also where, since more of it may be printed."""
    if not line.note:
        return ""
    heard = line.text.strip()
    if printed == heard or line.note != "interrupted":
        return f"  ({line.note})"
    last = " ".join(heard.split()[-3:])
    return f'  (interrupted after "{last}")' if last else "  (interrupted before a word was heard)"


def _line(line: Line) -> Text:
    note = f"  ({line.note})" if line.note else ""
    return Text.assemble((f"{line.who}: ", _STYLES[line.who]), line.text.strip(), (note, "dim"))


def _latencies(conversation: Conversation) -> str:
    stages = "  ".join(f"{stage} {value:.0f}" for stage, value in conversation.latencies.items())
    return f"ms after your last sound: {stages}"
