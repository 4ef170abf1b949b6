"""WhisperX: whisper with batched inference and word times from forced alignment.

Its dependencies exclude those of other engines, so it lives in an environment of its own, which
``parley engines install whisperx`` makes, and the decoder processes run there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parley.asr.decoder import DecoderSpec
from parley.asr.processes import ProcessRecognizer
from parley.environments import EngineSettings, open_environments
from parley.errors import ConfigError
from parley.hints import command

if TYPE_CHECKING:
    from parley.asr.settings import AsrSettings
    from parley.environments import Environments

DEFAULT_MODEL = "base"


def create(settings: AsrSettings, environments: Environments | None = None) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet.

    ConfigError when its environment is missing, or its model where nothing may be fetched.
    """
    environments = environments or open_environments(EngineSettings())
    python = environments.interpreter("whisperx")
    if not settings.download and not Path(settings.model, "model.bin").is_file():
        raise ConfigError(
            f"asr.model names no whisper model that is on this machine ({settings.model or 'it is empty'}), and "
            f"asr.download is off; fetch one with `{command('pull whisper-tiny.en')}` and name it, or its folder."
        )
    arguments = {
        "model": settings.model or DEFAULT_MODEL,
        "device": settings.device,
        "compute_type": settings.compute_type,
        "beam_size": settings.beam_size,
        "threads": settings.threads,
        "download": settings.download,
        "language": settings.language,
        "hot_words": list(settings.hot_words),
        "interval": settings.partial_interval,
        "share": settings.partials_cpu,
    }
    spec = DecoderSpec(
        "whisperx",
        "parley.asr.whisperx_decoder:WhisperxDecoder",
        arguments,
        python=python,
        copies=True,
        settles=True,
    )
    return ProcessRecognizer(spec, settings)
