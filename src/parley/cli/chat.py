"""``parley chat``: talk to a Parley from the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from parley.cli.line_editor import LineEditor
    from parley.client.conversation import Conversation, EventLog
    from parley.client.playout import Playout
    from parley.client.session import Listener, SessionClient
    from parley.messages import StartSession

    Changed = Callable[[], None]
    """Called when there is something new to show."""


SILENT = (
    "The microphone gives no sound at all: switch it on, or choose another one with --microphone (--devices lists "
    "them); until then you can type."
)


def chat(
    url: Annotated[str, typer.Option(help="Where Parley listens.")] = "ws://127.0.0.1:8080",
    wav: Annotated[Path | None, typer.Option(help="Speak this WAV file instead of the microphone.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write what would be heard to this WAV file.")] = None,
    text: Annotated[bool, typer.Option("--text", help="Type instead of speaking: one turn per line.")] = False,
    events: Annotated[Path | None, typer.Option(help="Write every event with its time as JSON lines.")] = None,
    voice: Annotated[str, typer.Option(help="Model, or model/speaker; empty for the server's default.")] = "",
    language: Annotated[str, typer.Option(help="Language of the conversation (BCP 47), e.g. en or de.")] = "",
    microphone: Annotated[
        str,
        typer.Option(help="Name of the microphone, or a part of it; --devices lists them.", show_default="the usual"),
    ] = "",
    loudspeaker: Annotated[str, typer.Option(help="The same for what is heard.", show_default="the usual")] = "",
    devices: Annotated[
        bool, typer.Option("--devices", help="List microphones and loudspeakers instead of talking.")
    ] = False,
    api_key: Annotated[str, typer.Option(envvar="PARLEY_API_KEY", help="The server's API key, if it has one.")] = "",
    echo_cancellation: Annotated[
        bool, typer.Option(help="Remove the loudspeaker's sound from the microphone; not needed with headphones.")
    ] = True,
    max_wait: Annotated[
        float, typer.Option(help="Seconds to wait for the sound of an answer after the WAV or a line of text.")
    ] = 60.0,
) -> None:
    """Talk to Parley: by microphone, by a WAV file, or in writing.

    The microphone needs PortAudio and the extra `mic`; `parley doctor` says how to get them. With --wav the file is
    spoken in real time, also over the reply; then Parley is listened to until it has answered. A line that begins with
    a slash is a command, also while you speak: /help lists them. Exit codes: 0 answered, 1 something is wrong (one
    sentence says what), 2 wrong usage, 3 no answer came.
    """
    from parley.errors import ParleyError

    if wav is not None and text:
        raise typer.BadParameter("say either --wav or --text, not both")
    sound = (microphone, loudspeaker)
    options = Options(url, wav, out, text, events, voice, language, api_key, echo_cancellation, max_wait, sound)
    try:
        if devices:
            _list_devices()
            return
        answered = asyncio.run(_chat(options))
    except ParleyError as error:
        typer.echo(f"parley chat: {error.message}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    if not answered:
        typer.echo("parley chat: no answer came.", err=True)
        raise typer.Exit(3)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, taken apart."""

    url: str
    wav: Path | None
    out: Path | None
    text: bool
    events: Path | None
    voice: str
    language: str
    api_key: str
    echo_cancellation: bool
    max_wait: float
    sound: tuple[str, str] = ("", "")
    """Names of microphone and loudspeaker; empty for the usual ones."""

    def start(self, sample_rate: int, *, echo_cancelled: bool) -> StartSession:
        from parley.messages import StartSession
        from parley.values import Voice

        model, _, speaker = self.voice.partition("/")
        return StartSession(
            sample_rate=sample_rate,
            voice=Voice(model, speaker),
            language=self.language,
            echo_cancelled=echo_cancelled,
        )


async def _chat(options: Options) -> bool:
    """Hold the conversation; False when no reply came."""
    from parley.client.playout import Playout

    if options.wav is None and not options.text:
        return await _talk(options)
    listener = Playout()
    if options.text:

        async def write(
            client: SessionClient, conversation: Conversation, log: EventLog | None, changed: Changed
        ) -> bool:
            return await _type(client, conversation, options, changed)

        return await _with_session(options, listener, 48_000, write)
    from parley.audio.wav import read_wav
    from parley.client.microphone import WavMicrophone

    assert options.wav is not None
    samples, rate = read_wav(options.wav)
    if rate not in (16_000, 48_000):
        samples, rate = read_wav(options.wav, 48_000)
    microphone = WavMicrophone(samples, rate)

    async def speak(client: SessionClient, conversation: Conversation, log: EventLog | None, changed: Changed) -> bool:
        return await _speak_file(client, conversation, log, microphone, options.max_wait)

    return await _with_session(options, listener, rate, speak)


async def _talk(options: Options) -> bool:
    """By the machine's own microphone and loudspeaker, until interrupted; what is typed meanwhile counts as well."""
    from rich.console import Console

    from parley.cli.line_editor import LineEditor
    from parley.cli.microphone_check import check_microphone
    from parley.client.device import SoundDevice

    microphone, loudspeaker = options.sound
    editor = LineEditor()
    with SoundDevice(
        echo_cancellation=options.echo_cancellation, microphone=microphone, loudspeaker=loudspeaker
    ) as device:
        async with contextlib.aclosing(device.blocks()) as blocks:
            await check_microphone(Console(), blocks, microphone)

        async def talk(
            client: SessionClient, conversation: Conversation, log: EventLog | None, changed: Changed
        ) -> bool:
            def silent() -> None:
                conversation.tell(SILENT)
                changed()

            speaking = asyncio.create_task(device.run(client, silent=silent))
            typing = asyncio.create_task(_typed(client, conversation, options, editor, changed))
            try:
                await asyncio.wait([speaking, typing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (speaking, typing):
                    task.cancel()
                results = await asyncio.gather(speaking, typing, return_exceptions=True)
            for failure in results:
                if isinstance(failure, Exception):
                    raise failure
            return True

        return await _with_session(options, device.speaker, device.sample_rate, talk, editor)


async def _typed(
    client: SessionClient, conversation: Conversation, options: Options, editor: LineEditor, changed: Changed
) -> None:
    """Turns and commands that are typed while somebody talks; ends with /quit."""
    from parley.cli.chat_commands import Commands
    from parley.cli.line_editor import keys

    lines: asyncio.Queue[str] = asyncio.Queue()
    commands = Commands(client, conversation, options.api_key)

    def pressed(characters: str) -> None:
        for line in editor.feed(characters):
            lines.put_nowait(line)

    with keys(sys.stdin, pressed):
        while await commands.take(await lines.get()):
            changed()


def _list_devices() -> None:
    from parley.client.device import list_devices

    for line in list_devices():
        typer.echo(line)


async def _speak_file(
    client: SessionClient, conversation: Conversation, log: EventLog | None, microphone: Any, max_wait: float
) -> bool:
    """Speak the file in real time, then listen on through silence until everything is answered."""
    from parley import clock
    from parley.client.conversation import until_settled

    if log is not None:
        log.write(clock.now(), "microphone", seconds=microphone.seconds, sample_rate=microphone.sample_rate)
    sending = asyncio.create_task(microphone.run(client))
    try:
        await asyncio.wait([sending, asyncio.create_task(microphone.ended.wait())], return_when=asyncio.FIRST_COMPLETED)
        if log is not None:
            log.write(clock.now(), "microphone_ended", samples=microphone.samples_sent)
        return await until_settled(client, conversation, max_wait=max_wait)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _type(client: SessionClient, conversation: Conversation, options: Options, changed: Changed) -> bool:
    """One turn or command per line of standard input; without a terminal, each waits for the last one's answer."""
    from parley.cli.chat_commands import Commands, is_turn
    from parley.client.conversation import until_settled

    answered, commands = True, Commands(client, conversation, options.api_key)
    async for line in _lines():
        if not line.strip():
            continue
        if not await commands.take(line):
            break
        changed()
        if is_turn(line) and not sys.stdin.isatty():
            answered = await until_settled(client, conversation, max_wait=options.max_wait) and answered
    return answered


async def _lines() -> AsyncGenerator[str, None]:
    """Standard input, line by line, without holding the conversation up."""
    import threading

    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
            for line in sys.stdin:
                loop.call_soon_threadsafe(queue.put_nowait, line)
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


async def _with_session(
    options: Options, listener: Listener, rate: int, activity: Callable[..., Any], editor: LineEditor | None = None
) -> bool:
    """Open the session, show it, log it; run ``activity`` until it ends or the server hangs up."""
    from parley import clock
    from parley.cli.chat_view import view
    from parley.client.conversation import Conversation, EventLog, follow
    from parley.client.playout import Playout
    from parley.client.session import SessionClient

    conversation = Conversation()
    with contextlib.ExitStack() as stack:
        log = EventLog(stack.enter_context(_writable(options.events))) if options.events else None
        # Nobody plays the agent aloud into this microphone, unless there is a real loudspeaker.
        start = options.start(rate, echo_cancelled=isinstance(listener, Playout) or options.echo_cancellation)
        async with SessionClient(options.url, start, api_key=options.api_key, listener=listener) as client:
            began = clock.now()
            changed = stack.enter_context(view(conversation, options.url, typing=options.text, editor=editor))
            following = asyncio.create_task(follow(client, conversation, log=log, changed=changed))
            acting = asyncio.create_task(activity(client, conversation, log, changed))
            try:
                await asyncio.wait([following, acting], return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
                    return conversation.replies > 0
                return bool(acting.result())
            finally:
                for task in (following, acting):
                    task.cancel()
                await asyncio.gather(following, acting, return_exceptions=True)
                if options.out is not None and isinstance(listener, Playout):
                    _write_recording(options.out, listener, began, clock.now())


def _writable(path: Path) -> Any:
    from parley.errors import ConfigError

    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _write_recording(path: Path, listener: Playout, began: float, now: float) -> None:
    from parley.audio.wav import write_wav
    from parley.client.playout import render

    listener.advance(now)
    write_wav(path, render(listener.heard, began, now), 48_000)
