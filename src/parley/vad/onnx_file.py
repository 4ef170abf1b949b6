"""A model in a file of its own (ONNX), opened for one thread of a CPU; and the sentence that a wrong file deserves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def open_model(path: Path, kind: str) -> Any:
    """An inference session. Raises ConfigError where there is no such file or model; ``kind`` names it."""
    if not path.is_file():
        raise ConfigError(f"The {kind} model {path} does not exist; fetch it, or name another file.")
    return _opened(path)


def must_have(session: Any, path: Path, kind: str, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raises ConfigError where a model takes or gives other things than one of this kind does."""
    for what, wanted, there in (("takes", inputs, session.get_inputs()), ("gives", outputs, session.get_outputs())):
        has = sorted(entry.name for entry in there)
        missing = [name for name in wanted if name not in has]
        if missing:
            raise ConfigError(f"{path} is not a {kind} model: it {what} {', '.join(has)}, not {', '.join(missing)}.")


def _opened(path: Path) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.InvalidArgument, ort_errors.Fail) as error:
        raise ConfigError(f"{path} cannot be read as an ONNX model; download it again.") from error
