"""Files of strangers, read in a process of their own."""

from __future__ import annotations

import io
import struct
import wave
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from parley.api.encoding import FORMATS
from parley.api.recordings import RATE, Recording, memory_limit
from parley.bench import speech
from parley.errors import InvalidRequest

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]


def said(*pauses: float) -> np.ndarray:
    """A sentence behind each pause, at 48 kHz."""
    sentence = speech.say("What is the weather like today?", speech.speakers()[0])
    return np.concatenate([part for pause in pauses for part in (np.zeros(int(48_000 * pause), np.int16), sentence)])


def file_of(samples: np.ndarray, name: str) -> bytes:
    encoder = FORMATS[name]()
    return encoder.add(samples.astype(np.int16).tobytes()) + encoder.finish()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pcm"])
async def test_any_format_is_read_and_cut_where_nobody_speaks(name: str) -> None:
    samples = said(0.5, 3.0)
    async with aclosing(Recording(60)) as recording:
        await recording.open(file_of(samples, name))
        assert abs(recording.duration - samples.size / 48_000) < 0.15
        assert len(recording.pieces) == 2
        for index, (start, end) in enumerate(recording.pieces):
            pcm = np.frombuffer(await recording.samples(index), np.int16)
            assert abs(pcm.size / RATE - (end - start)) < 0.001
            assert np.abs(pcm).max() > 1_000
        assert recording.pieces[1][0] - recording.pieces[0][1] > 2


async def test_two_channels_at_another_rate_are_one() -> None:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(np.zeros(2 * 44_100, np.int16).tobytes())
    async with aclosing(Recording(60)) as recording:
        await recording.open(target.getvalue())
        assert abs(recording.duration - 1) < 0.01
        assert recording.pieces == []


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "no recording that can be read"),
        (b"What is the weather like today?" * 100, "no recording that can be read"),
        (bytes(10_000), "no recording that can be read"),
        (file_of(said(0), "flac")[:50], "no recording that can be read|no sound"),
    ],
    ids=["empty", "text", "zeros", "cut"],
)
async def test_what_is_no_recording_is_said_so(file: bytes, says: str) -> None:
    async with aclosing(Recording(60)) as recording:
        with pytest.raises(InvalidRequest, match=says):
            await recording.open(file)


async def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(file_of(said(0), "wav"))
    lists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret.as_uri()}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret.as_uri()}\n",
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet mimeType="audio/wav">'
        f"<Representation id='1'><BaseURL>{secret.as_uri()}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    )
    for text in lists:
        async with aclosing(Recording(60)) as recording:
            with pytest.raises(InvalidRequest, match="no recording that can be read"):
                await recording.open(text.encode())


async def test_a_recording_that_is_too_long_is_not_read_to_its_end() -> None:
    hour = file_of(np.zeros(48_000 * 600, np.int16), "flac")
    async with aclosing(Recording(5)) as recording:
        with pytest.raises(InvalidRequest, match="longer than 5 seconds"):
            await recording.open(hour)


async def test_a_reader_that_dies_is_the_files_fault_and_leaves_nothing() -> None:
    async with aclosing(Recording(60)) as recording:
        await recording.open(file_of(said(0), "wav"))
        child = recording._child
        assert child is not None
        child.kill()
        with pytest.raises(InvalidRequest, match="its reader ended"):
            await recording.samples(0)
    assert not child.alive


async def test_a_title_in_an_old_alphabet_is_no_fault_of_the_sound() -> None:
    title = b"INFOINAM" + struct.pack("<I", 4) + "café".encode("latin-1")
    listed = b"LIST" + struct.pack("<I", len(title)) + title
    header = file_of(said(0.0), "wav")
    async with aclosing(Recording(60)) as recording:
        await recording.open(header[:12] + listed + header[12:])
        assert recording.pieces


async def test_its_process_may_have_so_much_memory_and_no_more() -> None:
    async with aclosing(Recording(60)) as recording:
        await recording.open(file_of(said(0.5), "wav"))
        assert recording._child is not None
        limits = Path(f"/proc/{recording._child.pid}/limits").read_text().splitlines()
    (data,) = [line.split()[3] for line in limits if line.startswith("Max data size")]
    assert int(data) == memory_limit(60)


async def test_an_hour_has_the_memory_that_it_needs() -> None:
    async with aclosing(Recording(3600)) as recording:
        await recording.open(file_of(np.zeros(48_000 * 3590, np.int16), "flac"))
        assert abs(recording.duration - 3590) < 1
