"""A recording of any format, read and cut in a process of its own: ``python -m parley.api.recordings``.

Whoever sends a file may have made it to break its reader, and an hour of sound takes seconds to read: neither is to
meet a conversation. The process knows containers and codecs of sound alone, opens nothing but the bytes that it was
given, stops at the longest recording that is allowed, and ends with its request.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from parley.api.pieces import Span, pieces
from parley.audio.reference import RATE as VOICE_RATE
from parley.audio.reference import reference_of
from parley.children import wire
from parley.children.inside import Orders, claim_pipes
from parley.children.process import ChildGone, ChildProcess
from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

RATE = 16_000
OPEN, PIECE = b"O", b"P"
OPEN_VOICE, VOICE = b"V", b"W"
DONE, FAILED = b"D", b"F"
_FORMATS = "wav,mp3,ogg,flac,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,aac,aiff,caf,amr,amrnb,amrwb"
_TIME_LIMIT = 120.0
"""Seconds for one step; an hour of speech takes some ten."""
_NICE = 10
_LIBRARIES = 1_000_000_000
_COPIES = 4
"""Of the longest recording: its pieces, the whole, and what is made of it on the way."""
_BLOCK = RATE // 50
_SECOND_READ = 30
"""Seconds of sound that are scored between two looks at nothing else: one call of the detector."""


class Recording:
    """A recording that its process has read: how long it is, and its pieces of speech."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._kind = OPEN
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._child: ChildProcess | None = None
        self.duration = 0.0
        """Seconds."""
        self.pieces: list[Span] = []

    async def open(self, file: bytes) -> None:
        """Read it. Raises InvalidRequest where it is no recording, or too long a one."""
        said = json.loads(await self._run(lambda: self._begin(file)))
        self.duration, self.pieces = said["duration"], [(start, end) for start, end in said["pieces"]]

    async def open_voice(self, file: bytes) -> None:
        """Read it as the recording of a person whose voice is wanted. Raises InvalidRequest where it does not serve."""
        self._kind = OPEN_VOICE
        await self.open(file)

    async def voice(self) -> bytes:
        """From its first word to its last: s16 mono at 24 kHz."""
        return await self._run(lambda: self._ask(VOICE, b""))

    async def samples(self, index: int) -> bytes:
        """One piece: s16 mono at 16 kHz."""
        return await self._run(lambda: self._ask(PIECE, str(index).encode()))

    async def aclose(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._child.close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Any) -> bytes:
        result: bytes = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        return result

    def _begin(self, file: bytes) -> bytes:
        self._child = ChildProcess("parley.api.recordings", (str(self._longest),))
        return self._ask(self._kind, file)

    def _ask(self, kind: bytes, body: bytes) -> bytes:
        assert self._child is not None
        try:
            said, answer = self._child.ask(kind, body, limit=_TIME_LIMIT)
        except ChildGone as gone:
            raise InvalidRequest(f"The recording can not be read: its reader ended ({gone}).") from None
        if said == FAILED:
            error = wire.unpack_error(answer)
            assert error is not None
            raise error
        return answer


# --- in the process ----------------------------------------------------------------------


class _Reader:
    """One recording."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._samples = np.zeros(0, np.int16)
        self._pieces: list[Span] = []
        self._voice = np.zeros(0, np.int16)

    def to(self, kind: bytes, body: bytes) -> tuple[bytes, bytes]:
        """The answer to one question."""
        said: list[bytes] = []
        error = wire.attempt(lambda: said.append(self._answer(kind, body)), "It raised")
        return (FAILED, wire.pack_error(error)) if error is not None else (DONE, said[0])

    def _answer(self, kind: bytes, body: bytes) -> bytes:
        if kind == PIECE:
            start, end = self._pieces[int(body)]
            return self._samples[round(start * RATE) : round(end * RATE)].tobytes()
        if kind == VOICE:
            return self._voice.tobytes()
        self._samples = decoded(body, self._longest)
        duration, speech = self._samples.size / RATE, stretches(self._samples)
        if kind == OPEN_VOICE:
            self._voice = reference_of(decoded(body, self._longest, VOICE_RATE), speech)
        self._pieces = pieces(speech, duration, self._quietest)
        return json.dumps({"duration": duration, "pieces": self._pieces}).encode()

    def _quietest(self, start: float, end: float) -> float:
        first = round(start * RATE)
        part = self._samples[first : round(end * RATE)].astype(np.float32)
        blocks = part[: part.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        return (first + int(np.argmin((blocks**2).mean(axis=1))) * _BLOCK + _BLOCK // 2) / RATE


def decoded(file: bytes, longest: float, rate: int = RATE) -> NDArray[np.int16]:
    """Mono at ``rate``, of any number of channels. Raises InvalidRequest."""
    import av

    found: list[NDArray[np.int16]] = []
    taken = 0
    try:
        # Playlists and the like name other files; neither their formats nor any way to open one is allowed.
        options = {"protocol_whitelist": "none", "format_whitelist": _FORMATS}
        with av.open(io.BytesIO(file), "r", options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise InvalidRequest("There is no sound in this file.")
            for samples in _resampled(_frames(container), rate):
                found.append(samples)
                taken += samples.size
                if taken > longest * rate:
                    raise InvalidRequest(f"The recording is longer than {longest:g} seconds; cut it into shorter ones.")
    except MemoryError:
        raise InvalidRequest("The recording needs more memory than its reader may have.") from None
    except av.FFmpegError as error:
        raise InvalidRequest(f"This is no recording that can be read: {error.strerror or error}.") from None
    if not taken:
        raise InvalidRequest("There is no sound in this file.")
    return np.concatenate(found)


def _frames(container: Any) -> Iterator[Any]:
    """What can be decoded, as a player does it: a damaged packet is a gap and no end."""
    import av

    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        yield from frames


def _resampled(frames: Iterable[Any], rate: int) -> Iterator[NDArray[np.int16]]:
    """Mono at ``rate``, also where rate or channels change on the way, as they do in damaged files."""
    import av

    resampler, kind = None, None
    for frame in frames:
        frame.pts = None  # a file whose clock jumps is read as it comes
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            yield from _samples(resampler, None)
            resampler = av.AudioResampler("s16", "mono", rate)
        yield from _samples(resampler, frame)
    yield from _samples(resampler, None)


def _samples(resampler: Any, frame: Any) -> Iterator[NDArray[np.int16]]:
    if resampler is not None:
        yield from (out.to_ndarray().reshape(-1) for out in resampler.resample(frame))


def stretches(samples: NDArray[np.int16]) -> list[Span]:
    """Where somebody speaks."""
    from parley.session.decide.segmenter import Segmenter, SpeechStarted
    from parley.session.settings import BargeInSettings, SegmenterSettings
    from parley.vad import create_vad

    detector = create_vad()
    segmenter = Segmenter(SegmenterSettings(), alert_threshold=BargeInSettings().alert_threshold)
    found: list[Span] = []
    began: float | None = None
    for start in range(0, samples.size, _SECOND_READ * RATE):
        for score in detector.score(samples[start : start + _SECOND_READ * RATE]):
            event = segmenter.update(score.probability, score.samples)
            if isinstance(event, SpeechStarted):
                began = event.at
            elif event is not None and began is not None:
                found.append((began, event.at))
                began = None
    if began is not None:
        found.append((began, samples.size / RATE))
    return found


def memory_limit(longest: float) -> int:
    """Bytes that the process may have of its own: the libraries', and the longest recording some times over."""
    return _LIBRARIES + round(_COPIES * 2 * RATE * longest)


def _bound_memory(most: int) -> None:
    """What a file makes its reader do ends with an error here, and not with this machine out of memory."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    os.nice(_NICE)
    _bound_memory(memory_limit(float(sys.argv[1])))
    reader = _Reader(float(sys.argv[1]))
    source, sink = claim_pipes()
    orders = Orders(source)
    while True:
        try:
            wire.write(sink, *reader.to(*orders.next()))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
