"""A running Parley's voices and ears, with the loudspeaker and the microphone of this machine: for ``parley mcp``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx2
import numpy as np

from parley.api.encoding import RATE
from parley.api.mcp.asked import Heard, Models, Said
from parley.audio.frame import SAMPLE_RATE
from parley.audio.resample import StreamingResampler, resample
from parley.audio.wav import read_wav, wav_bytes
from parley.errors import ConfigError, InvalidRequest, TimedOut, Unauthorized, UnavailableError
from parley.hints import command

if TYPE_CHECKING:
    from parley.api.mcp.asked import Listen, Say
    from parley.api.mcp.server import Progress

_CONNECT = 3.0
_SILENT = 60.0
"""Seconds for which a server may say nothing while it works."""
_ASR_RATE = 16_000
_MOST = 65_536
"""Bytes of an error that are read."""
_REPORT = 0.5
_AFTER = 1.0
"""Seconds of silence behind something that was said, after which it is over."""


class Sound(Protocol):
    """What is heard and what is said at this machine."""

    def play(self, pcm: bytes) -> None:
        """s16 mono at 48 kHz, behind what is still to be heard."""

    async def played(self) -> None:
        """Wait until all of it has been heard."""

    def stop(self) -> None:
        """Be silent now."""

    def microphone(self) -> AsyncIterator[bytes]:
        """What is said from now on: s16 mono at 48 kHz, some 10 ms at a time."""


class RemoteBackend:
    """``open_sound`` opens the sound card for one call. ``url``: http:// address of the server."""

    aloud = True
    largest_recording = 0
    longest_text = 4096

    def __init__(
        self,
        url: str,
        api_key: str,
        open_sound: Callable[[], contextlib.AbstractContextManager[Sound]],
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = httpx2.Timeout(_SILENT, connect=_CONNECT)
        self._url = url
        self._client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._open_sound = open_sound
        self._turn = asyncio.Lock()
        """One at a time speaks or listens: there is one loudspeaker."""

    async def aclose(self) -> None:
        await self._client.aclose()

    async def say(self, asked: Say, progress: Progress) -> Said:
        body = {"input": asked.text, "voice": asked.voice, "model": asked.model, "response_format": "pcm"}
        resampler = StreamingResampler(RATE, SAMPLE_RATE)
        seconds, next_report = 0.0, _REPORT
        async with self._turn:
            with self._open_sound() as sound:
                try:
                    async with self._asked("POST", "/v1/audio/speech", json=body) as response:
                        odd = b""
                        async for data in response.aiter_bytes():
                            data, odd = _whole(odd + data)
                            samples = np.frombuffer(data, "<i2")
                            seconds += samples.size / RATE
                            sound.play(resampler.process(samples).astype("<i2").tobytes())
                            if seconds >= next_report:
                                await progress(round(seconds, 2), f"{seconds:.1f} s spoken")
                                next_report = seconds + _REPORT
                    sound.play(resampler.flush().astype("<i2").tobytes())
                    await sound.played()
                except BaseException:  # our own code, a cancelled call among it: silence, and it goes on up
                    sound.stop()
                    raise
        return Said(len(asked.text), seconds, asked.model, asked.voice)

    async def listen(self, asked: Listen, progress: Progress) -> Heard:
        async with self._turn:
            with self._open_sound() as sound:
                samples = await _spoken(sound.microphone(), asked.seconds, progress)
        seconds = samples.size / _ASR_RATE
        if not samples.size:
            return Heard("", 0.0, asked.language)
        files = {"file": ("said.wav", wav_bytes(samples, _ASR_RATE), "audio/wav")}
        fields = {"response_format": "verbose_json", "language": asked.language}
        async with self._asked("POST", "/v1/audio/transcriptions", files=files, data=fields) as response:
            said = await _json(response)
        return Heard(str(said.get("text", "")).strip(), seconds, str(said.get("language") or asked.language))

    async def models(self) -> Models:
        async with self._asked("GET", "/v1/audio/voices") as response:
            voices = await _json(response)
        async with self._asked("GET", "/v1/client") as response:
            client = await _json(response)
        return Models([str(voice["id"]) for voice in voices["voices"]], dict(client["models"]))

    @contextlib.asynccontextmanager
    async def _asked(self, method: str, path: str, **what: Any) -> AsyncIterator[httpx2.Response]:
        """An answer that is none of an error. Raises ParleyError."""
        try:
            async with self._client.stream(method, path, **what) as response:
                if not response.is_success:
                    raise _refused(response.status_code, await _beginning(response))
                yield response
        except httpx2.ConnectError:
            raise UnavailableError(
                f"Parley does not run at {self._url}: start it with `{command('up')}`, or name another --url."
            ) from None
        except httpx2.TimeoutException:
            raise TimedOut(f"Parley at {self._url} does not answer.") from None
        except httpx2.HTTPError:
            raise UnavailableError(f"Parley at {self._url} broke off its answer.") from None


def _refused(status: int, body: bytes) -> Exception:
    try:
        said = json.loads(body)
        message = str(said["error"]["message"] if "error" in said else said["message"])
    except (ValueError, KeyError, TypeError):
        message = f"Parley answered with status {status}."
    if status == httpx2.codes.UNAUTHORIZED:
        return Unauthorized(message)
    return InvalidRequest(message) if status < 500 else UnavailableError(message)


async def _beginning(response: httpx2.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > _MOST:
            break
    return body


async def _json(response: httpx2.Response) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(await response.aread())
    return said


def _whole(data: bytes) -> tuple[bytes, bytes]:
    """Whole samples, and what is left."""
    even = len(data) & ~1
    return data[:even], data[even:]


async def _spoken(microphone: AsyncIterator[bytes], longest: float, progress: Progress) -> Any:
    """What was said, at 16 kHz: until a pause behind it, or for ``longest`` seconds; empty where nobody spoke."""
    from parley.session.decide.segmenter import Segmenter, SpeechStarted
    from parley.session.settings import BargeInSettings, SegmenterSettings
    from parley.vad import create_vad

    detector = await asyncio.to_thread(create_vad)
    segmenter = Segmenter(SegmenterSettings(), alert_threshold=BargeInSettings().alert_threshold)
    resampler = StreamingResampler(SAMPLE_RATE, _ASR_RATE)
    taken: list[Any] = []
    seconds, speaking, silent_since, next_report = 0.0, False, -1.0, 1.0
    async for pcm in microphone:
        samples = resampler.process(np.frombuffer(pcm, "<i2"))
        taken.append(samples)
        seconds += samples.size / _ASR_RATE
        for score in detector.score(samples):
            event = segmenter.update(score.probability, score.samples)
            if isinstance(event, SpeechStarted):
                speaking, silent_since = True, -1.0
            elif event is not None:
                speaking, silent_since = False, seconds
        if seconds >= next_report:
            await progress(round(seconds, 2), "somebody speaks" if speaking else "listening")
            next_report += 1.0
        if seconds >= longest or 0 <= silent_since <= seconds - _AFTER:
            break
    if not speaking and silent_since < 0:
        return np.zeros(0, np.int16)
    return np.concatenate(taken).astype(np.int16)


# --- sound -----------------------------------------------------------------------------


class Card:
    """The sound card."""

    def __init__(self) -> None:
        from parley.client.device import SoundDevice

        self._device = SoundDevice(echo_cancellation=False, instead="--out and --wav")
        self._sample = 0

    def __enter__(self) -> Card:
        self._device.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._device.__exit__(*error)

    def play(self, pcm: bytes) -> None:
        from parley import clock
        from parley.transports.binary import AgentAudio

        if pcm:
            self._device.speaker.push(AgentAudio(1, self._sample, False, pcm), clock.now())
            self._sample += len(pcm) // 2

    async def played(self) -> None:
        from parley import clock

        while not self._device.speaker.silent(clock.now()):  # noqa: ASYNC110  (nothing signals it)
            await asyncio.sleep(0.02)
        await asyncio.sleep(self._device.speaker.latency)

    def stop(self) -> None:
        from parley import clock

        self._device.speaker.clear(clock.now())

    async def microphone(self) -> AsyncIterator[bytes]:
        arrived: asyncio.Queue[bytes] = asyncio.Queue(100)

        class Taken:
            async def send_microphone(self, pcm: bytes) -> None:
                if not arrived.full():
                    arrived.put_nowait(pcm)

        sending = asyncio.create_task(self._device.run(Taken()))  # type: ignore[arg-type]
        try:
            while True:
                yield await arrived.get()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


class Files:
    """Instead of a sound card: what is said goes into numbered WAV files, what is heard comes out of one."""

    def __init__(self, folder: Path | None, microphone: Path | None) -> None:
        self._folder, self._source = folder, microphone
        self._pcm = bytearray()

    def __enter__(self) -> Files:
        self._pcm.clear()
        return self

    def __exit__(self, *_: Any) -> None: ...

    def play(self, pcm: bytes) -> None:
        if self._folder is None:
            raise ConfigError("There is no loudspeaker: say --out FOLDER as well as --wav.")
        self._pcm += pcm

    async def played(self) -> None:
        assert self._folder is not None
        samples = np.frombuffer(bytes(self._pcm), "<i2").astype(np.int16)
        await asyncio.to_thread(_write, self._folder, wav_bytes(samples, SAMPLE_RATE))

    def stop(self) -> None:
        self._pcm.clear()

    async def microphone(self) -> AsyncIterator[bytes]:
        if self._source is None:
            raise ConfigError("There is no microphone: say --wav FILE as well as --out.")
        samples, rate = await asyncio.to_thread(read_wav, self._source)
        pcm = resample(samples, rate, SAMPLE_RATE).astype("<i2").tobytes()
        step = SAMPLE_RATE // 50 * 2
        for start in range(0, len(pcm), step):
            yield pcm[start : start + step]
            await asyncio.sleep(0)
        while True:
            yield bytes(step)
            await asyncio.sleep(0)


def _write(folder: Path, data: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + sum(1 for _ in folder.glob("said-*.wav"))
        (folder / f"said-{number}.wav").write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}.") from None
