"""``parley say``: text in, a spoken WAV file or sound out."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from parley.client.playout import Playout
    from parley.client.session import SessionClient

_UNFINISHED = {
    "interrupted": "The server ended the reply before the text was spoken; it may be stopping.",
    "failed": "The voice failed before the text was spoken; the server's log says why.",
}


def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads standard input while it is still arriving.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="WAV file to write; - for standard output; else the loudspeaker.")
    ] = None,
    url: Annotated[str, typer.Option(help="Where Parley listens.")] = "ws://127.0.0.1:8080",
    voice: Annotated[str, typer.Option(help="Model, or model/speaker; empty for the server's default.")] = "",
    language: Annotated[str, typer.Option(help="Language of the text (BCP 47).")] = "",
    speed: Annotated[float, typer.Option(min=0.25, max=4, help="1 is the voice's own pace.")] = 1.0,
    api_key: Annotated[str, typer.Option(envvar="PARLEY_API_KEY", help="The server's API key, if it has one.")] = "",
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="Speak the text as it stands: no numbers, marks or addresses into words.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say how long it took.")] = False,
) -> None:
    """Speak a text with one of Parley's voices.

    `parley say "Good morning." -o morning.wav` writes a file; `llm | parley say -` speaks the words of another
    program while it is still writing them. Exit codes: 0 said, 1 something is wrong, 2 wrong usage.
    """
    from parley.errors import ParleyError
    from parley.values import Voice

    if text != "-" and not text.strip():
        raise typer.BadParameter("there is nothing to say")
    model, _, speaker = voice.partition("/")
    try:
        asyncio.run(_say(text, out, url, Voice(model, speaker, language, speed), api_key, quiet, verbatim))
    except ParleyError as error:
        typer.echo(f"parley say: {error.message}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(1) from None


async def _say(text: str, out: Path | None, url: str, voice: object, api_key: str, quiet: bool, verbatim: bool) -> None:
    from parley.client.device import SoundDevice
    from parley.client.playout import Playout
    from parley.client.session import SessionClient
    from parley.messages import StartSession
    from parley.values import Voice

    assert isinstance(voice, Voice)
    start = StartSession(sample_rate=16_000, voice=voice, language=voice.language, echo_cancelled=True)
    pieces = _stdin() if text == "-" else _once(text)
    with contextlib.ExitStack() as stack:
        device = stack.enter_context(SoundDevice(echo_cancellation=False)) if out is None else None
        listener = device.speaker if device is not None else Playout()
        async with SessionClient(url, start, api_key=api_key, listener=listener) as client:
            report = await _speak(client, pieces, verbatim)
            if isinstance(listener, Playout) and out is not None:
                _write(out, listener)
    if not quiet:
        typer.echo(report, err=True)


async def _speak(client: SessionClient, pieces: AsyncGenerator[str, None], verbatim: bool) -> str:
    """Send the text as it comes, wait until all of it has been heard; returns how long it took, in words."""
    from parley.errors import InvalidRequest

    sending = asyncio.create_task(_send(client, pieces, verbatim))
    hearing = asyncio.create_task(_hear(client, sending))
    try:
        await asyncio.wait([sending, hearing], return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not sending.result()[0].strip():
            # Nobody answers a text without a word, so there is nothing to wait for.
            raise InvalidRequest("There was nothing to say: the text is empty.")
        await hearing
        return _summary(client, *sending.result())
    finally:
        for task in (sending, hearing):
            task.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)


async def _hear(client: SessionClient, sending: asyncio.Task[tuple[str, float]]) -> None:
    """Follow the session until the whole text has been heard; raises what prevents that."""
    from parley import clock
    from parley.client.session import error_of
    from parley.errors import EngineError, InvalidRequest, UnavailableError
    from parley.messages import ErrorMessage, ReplyEnded, ReplyStarted, StateChanged

    begun = False
    async for event in client:
        begun = begun or isinstance(event.message, ReplyStarted)
        if isinstance(event.message, StateChanged) and event.message.agent == "idle" and sending.done() and not begun:
            raise InvalidRequest("There was nothing to say: no voice speaks such a text.")
        if isinstance(event.message, ErrorMessage):
            raise error_of(event.message)
        if isinstance(event.message, ReplyEnded):
            if event.message.outcome != "finished":
                raise EngineError(_UNFINISHED[event.message.outcome])
            if sending.done():
                break
    else:
        raise UnavailableError("The server hung up before everything was said.")
    while not client.listener.silent(clock.now()):  # noqa: ASYNC110  (playout is reckoned, nothing signals it)
        await asyncio.sleep(0.02)


async def _send(client: SessionClient, pieces: AsyncGenerator[str, None], verbatim: bool) -> tuple[str, float]:
    """Returns the whole text and when its first piece was sent."""
    from parley import clock
    from parley.messages import SayDelta, SayEnd

    said: list[str] = []
    first = 0.0
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            first = first or clock.now()
            said.append(piece)
            await client.send(SayDelta(piece, normalize=not verbatim))
    await client.send(SayEnd())
    return "".join(said), first


def _summary(client: SessionClient, text: str, first: float) -> str:
    from parley.audio.frame import SAMPLE_RATE
    from parley.client.playout import Playout

    if not isinstance(client.listener, Playout) or not client.listener.heard:
        return f"said {len(text)} characters"
    heard = client.listener.heard
    seconds = sum(len(piece.pcm) // 2 for piece in heard) / SAMPLE_RATE
    wait = 1000 * (heard[0].at - first)
    return f"said {len(text)} characters in {seconds:.1f} s of audio, first sound after {wait:.0f} ms"


def _write(out: Path, listener: Playout) -> None:
    import numpy as np

    from parley.audio.wav import wav_bytes
    from parley.errors import ConfigError

    pcm = b"".join(piece.pcm for piece in listener.heard)
    data = wav_bytes(np.frombuffer(pcm, "<i2").astype(np.int16), 48_000)
    try:
        if str(out) == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            out.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.") from None


async def _once(text: str) -> AsyncGenerator[str, None]:
    for start in range(0, len(text), 2000):
        yield text[start : start + 2000]


async def _stdin() -> AsyncGenerator[str, None]:
    """What arrives on standard input, as it arrives, in whole characters."""
    from parley.errors import InvalidRequest

    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        data = await asyncio.to_thread(os.read, sys.stdin.fileno(), 4096)
        try:
            piece = decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            raise InvalidRequest("The text on standard input is not UTF-8.") from None
        if piece:
            yield piece
        if not data:
            return
