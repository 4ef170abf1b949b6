"""A model in a file of its own (ONNX), opened for one thread of a CPU; and the sentence that a wrong file deserves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def open_model(path: Path, kind: str, inputs: Iterable[str], outputs: Iterable[str]) -> Any:
    """An inference session. Raises ConfigError where the file is missing, no model, or none that takes and gives these.

    ``kind`` says in a few words what the file should be.
    """
    if not path.is_file():
        raise ConfigError(f"The {kind} model {path} does not exist; fetch it, or name another file.")
    session = _opened(path)
    has = {entry.name for entry in session.get_inputs()}, {entry.name for entry in session.get_outputs()}
    for what, wanted, there in (("takes", inputs, has[0]), ("gives", outputs, has[1])):
        missing = [name for name in wanted if name not in there]
        if missing:
            raise ConfigError(
                f"{path} is not a {kind} model: it {what} {', '.join(sorted(there))}, not {', '.join(missing)}."
            )
    return session


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
