"""What the adapters' ``load()`` have in common: engines imported late, mistakes explained."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError
from parley.hints import command, install
from parley.values import SynthesizedAudio

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from parley.audio.frame import WordMark
    from parley.worker.pack import VoicePack


_FIRST_SLICE = 0.2
"""Seconds."""
_SLICE = 0.5
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


def import_engine(module: str, family: str, package: str, extra: str) -> Any:
    """Import an engine. Raises ConfigError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = getattr(error, "name", None)
        if missing and missing.partition(".")[0] == module.partition(".")[0]:
            raise ConfigError(
                f"The family {family} needs the package {package}; install it with: {install(extra)}."
            ) from error
        raise ConfigError(f"The package {package} of the family {family} can not be imported: {error}.") from error


def server_key(pack: VoicePack) -> str:
    """The key of a speech server: the first line of the file that the pack names, else what stands in its options.

    Raises ConfigError that names the file.
    """
    name = str(pack.options["api_key_file"])
    if not name:
        return str(pack.options["api_key"])
    path = pack.path(name)
    try:
        return path.read_text("utf-8").split("\n", 1)[0].strip()
    except OSError as error:
        raise ConfigError(
            f"{path} can not be read: metadata.yaml names it as 'options.api_key_file', the speech server's key."
        ) from error


def onnx_session(path: Path, *, threads: int = 0, model_id: str = "", content: bytes | None = None) -> Any:
    """An onnxruntime session on the CPU whose threads spin for a moment between two steps, and never after a run.

    Without any spinning a run with two threads can be 30 % slower on an idle machine; with the usual
    amount it takes half as much CPU again on a busy one, and is slower as well.

    ``threads`` 0 leaves their number to onnxruntime; ``content`` is used instead of the file when given.
    Raises ConfigError that names the file when it is not a model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # every sentence has a length of its own: patterns are kept and never used again
    options.add_session_config_entry("session.intra_op.spin_duration_us", "20")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(
            content if content is not None else str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # somebody else's code: the errors of onnxruntime share no other base
        raise ConfigError(unreadable(path, "an ONNX model", error, model_id)) from error


def in_slices(
    samples: NDArray[np.float32], rate: int, marks: Sequence[WordMark]
) -> Generator[SynthesizedAudio, None, None]:
    """A sentence's audio piece by piece; its marks come with the first.

    The first piece is short, so that its frames leave before the rest has been resampled, and other
    sessions get their turn in between.
    """
    end = round(_FIRST_SLICE * rate)
    yield SynthesizedAudio(samples[:end], rate, tuple(marks))
    step = round(_SLICE * rate)
    for start in range(end, len(samples), step):
        yield SynthesizedAudio(samples[start : start + step], rate)


def read_json(path: Path, what: str, model_id: str) -> dict[str, Any]:
    """The object in a JSON file. Raises ConfigError that names the file."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(unreadable(path, what, error, model_id)) from error
    if not isinstance(data, dict):
        raise ConfigError(unreadable(path, what, ValueError("it holds no JSON object"), model_id))
    return data


def unreadable(path: Path, what: str, error: Exception, model_id: str) -> str:
    """One sentence about a broken file, with the engine's own first line and what to do."""
    lines = str(error).strip().splitlines()
    reason = _CODE.sub("", lines[0]).rstrip(".") if lines else type(error).__name__
    mend = f"; fetch it again with `{command(f'models pull {model_id}')}` or copy it again" if model_id else ""
    size = f"{path.stat().st_size} bytes" if path.exists() else "missing"
    return f"{path} ({size}) is not {what} ({reason}){mend}."
