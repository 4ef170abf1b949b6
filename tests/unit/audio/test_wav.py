import io
import struct
from pathlib import Path

import numpy as np
import pytest

from parley.audio.wav import WavWriter, parse_wav, read_wav, wav_bytes, write_wav
from parley.errors import InvalidRequest


def riff(kind: int, bits: int, channels: int, rate: int, data: bytes, extra: bytes = b"") -> bytes:
    block = bits // 8 * channels
    fmt = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


HALF = [0, 16_384, -16_384]


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, bytes([128, 192, 64])),
        (1, 16, struct.pack("<3h", *HALF)),
        (1, 24, b"".join(struct.pack("<i", v * 256)[:3] for v in HALF)),
        (1, 32, struct.pack("<3i", *(v * 65_536 for v in HALF))),
        (3, 32, struct.pack("<3f", 0, 0.5, -0.5)),
        (3, 64, struct.pack("<3d", 0, 0.5, -0.5)),
    ],
)
def test_every_common_format_reads_as_the_same_samples(kind: int, bits: int, data: bytes) -> None:
    samples, rate = parse_wav(riff(kind, bits, 1, 22_050, data))
    assert rate == 22_050
    assert samples.tolist() == HALF


def test_stereo_is_averaged() -> None:
    samples, _ = parse_wav(riff(1, 16, 2, 16_000, struct.pack("<4h", 100, 300, -100, -300)))
    assert samples.tolist() == [200, -200]


def test_extensible_headers_are_understood() -> None:
    extra = struct.pack("<HHI", 22, 16, 0) + struct.pack("<H", 1) + bytes(14)
    assert parse_wav(riff(0xFFFE, 16, 1, 48_000, struct.pack("<h", 7), extra))[0].tolist() == [7]


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    audio = np.arange(-500, 500, dtype=np.int16)
    write_wav(tmp_path / "a.wav", audio, 16_000)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert rate == 16_000
    assert np.array_equal(samples, audio)


def test_reading_at_another_rate_resamples(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(1_600, np.int16), 16_000)
    assert read_wav(tmp_path / "a.wav", 48_000)[0].size == 4_800


def test_a_file_written_in_pieces_is_whole_after_close(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", 48_000) as writer:
        writer.write(np.ones(10, np.int16))
        writer.write(b"\2\0" * 5)
    writer.close()
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [1] * 10 + [2] * 5


def test_a_stream_that_was_never_closed_reads_to_its_end() -> None:
    stream = io.BytesIO()
    WavWriter(stream, 48_000).write(b"\1\0" * 4)
    assert parse_wav(stream.getvalue())[0].size == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3 not a wav file",
        b"RIFF\0\0\0\0WAVE",
        wav_bytes(np.zeros(4, np.int16), 16_000)[:30],
        riff(1, 12, 1, 16_000, b"abc"),
        riff(1, 16, 0, 16_000, b""),
    ],
)
def test_what_is_no_wav_file_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_wav(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nothing\.wav cannot be read"):
        read_wav(tmp_path / "nothing.wav")
