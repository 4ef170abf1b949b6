"""A folder with a streaming transducer, as sherpa-onnx publishes them: its files, and what they say of themselves.

Read without loading a network: the library ends its process when something is missing, and a network may be large.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = ("encoder", "decoder", "joiner")
_FRAME = 0.01
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_METADATA = 14
"""The field of an ONNX ModelProto that holds its metadata, a key and a value at a time."""


@dataclass(frozen=True, slots=True)
class TransducerModel:
    """What there is to know of one before it is loaded."""

    files: Mapping[str, str]
    """tokens, encoder, decoder, joiner -> path."""
    window: float
    """Seconds of sound that it looks at to go on by ``step``: what came last is not understood before that."""
    step: float
    """Seconds."""
    languages: tuple[str, ...] = ()
    """Which it can be told to listen for (BCP 47); empty where it knows one, or finds out by itself."""
    searches: bool = True
    """It can keep several hypotheses, which hot words need."""
    spells: bool = False
    """``bpe.vocab`` is there: hot words can be put into its pieces."""

    def language(self, wanted: str) -> str:
        """Which of ``languages`` is nearest to the one wanted; empty where none is: it finds out by itself."""
        exact = {language.casefold(): language for language in self.languages}
        tag = wanted.replace("_", "-").casefold()
        if tag in exact:
            return exact[tag]
        base = tag.partition("-")[0]
        return exact.get(base) or next(
            (name for low, name in exact.items() if base and low.partition("-")[0] == base), ""
        )


def read_model(folder: str, *, gpu: bool = False) -> TransducerModel:
    """Find the files and read their facts: where there is a choice int8 for a CPU, and not for a GPU.

    ConfigError says what is missing.
    """
    root = Path(folder)
    found = {"tokens": root / "tokens.txt"}
    for part in _PARTS:
        candidates = sorted(root.glob(f"{part}*.onnx"), key=lambda path: (("int8" in path.name) == gpu, path.name))
        found[part] = candidates[0] if candidates else root / f"{part}.onnx"
    missing = [path.name for path in found.values() if not path.is_file()]
    if missing:
        raise ConfigError(f"The folder {folder} is no streaming transducer: {', '.join(missing)} is missing.")
    facts = onnx_facts(found["encoder"])
    unified = "streaming_model_type" in onnx_facts(found["decoder"])
    try:
        window, step = _pace(facts)
    except (KeyError, ValueError):
        raise ConfigError(
            f"The encoder {found['encoder'].name} in {folder} does not say how far it looks ahead, so it is not made "
            "for streaming by sherpa-onnx; take one from sherpa-onnx's list of streaming (online) transducers."
        ) from None
    return TransducerModel(
        {part: str(path) for part, path in found.items()},
        window * _FRAME,
        step * _FRAME,
        tuple(name for name in _prompts(facts) if name != "auto"),
        searches=not unified,
        spells=(root / "bpe.vocab").is_file(),
    )


def _pace(facts: Mapping[str, str]) -> tuple[int, int]:
    """Frames that are looked at, and by how many it goes on; each family of models has names of its own for them."""
    if "window_size" in facts:  # NeMo, cache-aware
        return int(facts["window_size"]), int(facts["chunk_shift"])
    if "chunk_feature_frames" in facts:  # NeMo, unified: hears its surroundings again with each step
        step = int(facts["chunk_feature_frames"])
        return step + int(facts["right_feature_frames"]), step
    return int(facts["T"]), int(facts["decode_chunk_len"])


def _prompts(facts: Mapping[str, str]) -> list[str]:
    try:
        known = json.loads(facts.get("prompt_dictionary", "{}"))
    except ValueError:
        return []
    return list(known) if isinstance(known, dict) else []


def onnx_facts(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, found by passing over everything else. ConfigError when it is no such file."""
    facts: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while file.tell() < size:
                field, kind = divmod(_varint(file), 8)
                if kind == _BYTES:
                    length = _varint(file)
                    if length > size - file.tell():
                        raise ValueError(length)
                    if field == _METADATA:
                        key, value = _pair(file, file.tell() + length)
                        facts[key] = value
                    else:
                        file.seek(length, os.SEEK_CUR)
                elif kind == _VARINT:
                    _varint(file)
                elif kind in (_FIXED32, _FIXED64):
                    file.seek(4 if kind == _FIXED32 else 8, os.SEEK_CUR)
                else:
                    raise ValueError(kind)
    except (ValueError, OSError):
        raise ConfigError(f"{path} is no ONNX file, or only a part of one; fetch it again.") from None
    return facts


def _pair(file: BinaryIO, end: int) -> tuple[str, str]:
    found = {1: b"", 2: b""}
    while file.tell() < end:
        field = _varint(file) // 8
        found[field] = file.read(_varint(file))
    return found[1].decode("utf-8", "replace"), found[2].decode("utf-8", "replace")


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise ValueError(value)
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value
