"""Reading ``metadata.yaml``: the schema of a voice pack, and the sentence that each mistake deserves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from parley.errors import ConfigError, InvalidRequest
from parley.settings import Setting
from parley.store.schema import check_keys, check_value, meant, read_mapping
from parley.text.speech.lexicon import lexicon_of
from parley.values import ModelInfo
from parley.worker import adapters
from parley.worker.pack import PackFile, PackOption, VoicePack, traits_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{5,8})*$")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


@dataclass(frozen=True, slots=True)
class Reference:
    """The recording that a cloning family imitates."""

    audio: Annotated[str, Setting("Path of a WAV file inside the pack's folder: 5 to 30 seconds of clean speech.")]
    text: Annotated[str, Setting("What is said in the recording, for families that want to know.")] = ""


@dataclass(frozen=True, slots=True)
class PackMetadata:
    """The keys of ``metadata.yaml``. The family and the model's id are the folders' names."""

    languages: Annotated[list[str], Setting("BCP 47 tags that the voice speaks, such as en-US; at least one.")]
    licence: Annotated[str, Setting("Licence of the weights, as an SPDX name or a few words; 'unknown' when it is.")]
    description: Annotated[str, Setting("One line for people.")] = ""
    source: Annotated[str, Setting("Where the files came from.")] = ""
    tags: Annotated[list[str], Setting("Free words to choose a voice by, such as cpu_ok, expressive, lora.")] = field(
        default_factory=list
    )
    sample_rate: Annotated[
        int, Setting("Rate of the engine's own output; Parley resamples it to 48 kHz.", unit="Hz", ge=8000, le=192_000)
    ] = 24_000
    needs_gpu: Annotated[bool, Setting("True when the model does not run without a GPU.")] = False
    supports_lora: Annotated[
        bool, Setting("False keeps LoRAs off a model whose family takes them; other families take none.")
    ] = True
    memory_mb: Annotated[
        int, Setting("Estimated resident size, RAM or VRAM; 0 when unknown.", unit="MB", ge=0, le=1_000_000)
    ] = 0
    concurrency: Annotated[
        int, Setting("Utterances that one loaded model speaks at the same time; 0 for the family's own.", ge=0, le=256)
    ] = 0
    speakers: Annotated[
        dict[str, int | str],
        Setting("Speakers by name; a mapping gives the engine's own number or name for each, a list the names alone."),
    ] = field(default_factory=dict)
    default_speaker: Annotated[str, Setting("The speaker when nobody asks for one.")] = ""
    lexicon: Annotated[
        dict[str, str], Setting("Words and how this voice says them: a respelling, sounds as /IPA/, or both.")
    ] = field(default_factory=dict)
    reference: Annotated[Reference, Setting("The recording that a cloning family imitates.")] = Reference("")
    files: Annotated[
        dict[str, str],
        Setting("Files by role, relative to the pack's folder, where they differ from the family's own names."),
    ] = field(default_factory=dict)
    options: Annotated[dict[str, Any], Setting("Options of the family, each listed with it.")] = field(
        default_factory=dict
    )


def read_pack(folder: Path) -> VoicePack:
    """Read and check ``folder/metadata.yaml``.

    Raises ConfigError with the file, the key, the value and what is allowed.
    """
    path = folder / "metadata.yaml"
    family, model_id = folder.parent.name, folder.name
    if not MODEL_ID.fullmatch(model_id):
        raise ConfigError(f"{folder}: a model id is made of letters, digits, '.', '_' and '-'; rename the folder.")
    adapter = adapters.adapter_class(family)
    traits = traits_of(adapter)
    raw = read_mapping(path, "a voice pack needs it, with at least 'languages' and 'licence'")
    data = check_keys(str(path), "", raw, PackMetadata)
    languages = _languages(path, data["languages"])
    speaker_ids = data.get("speakers") or {}
    speakers = tuple(speaker_ids)
    default_speaker = data.get("default_speaker", "")
    if default_speaker and speakers and default_speaker not in speakers:
        raise ConfigError(
            f"{path}: key 'default_speaker' is {default_speaker!r}; it must be one of {', '.join(speakers)}."
        )
    reference = data.get("reference") or {}
    info = ModelInfo(
        model_id,
        family,
        languages=languages,
        sample_rate=data.get("sample_rate", 24_000),
        speakers=speakers,
        open_speakers=not speakers and traits.open_speakers,
        tags=tuple(data.get("tags") or ()),
        licence=data["licence"],
        needs_gpu=data.get("needs_gpu", False),
        supports_lora=hasattr(adapter, "load_lora") and data.get("supports_lora", True),
        memory_bytes=data.get("memory_mb", 0) * 1_000_000,
        word_marks=traits.word_marks,
        concurrency=data.get("concurrency", 0) or traits.concurrency,
    )
    pack = VoicePack(
        info,
        folder,
        files=_files(path, data.get("files") or {}, adapter.files),
        options=_options(path, data.get("options") or {}, adapter.options),
        speaker_ids=speaker_ids,
        default_speaker=default_speaker,
        reference_audio=reference.get("audio", ""),
        reference_text=reference.get("text", ""),
        lexicon=_lexicon(path, data.get("lexicon") or {}),
    )
    return replace(pack, info=traits.describe(pack)) if traits.describe is not None else pack


def _languages(path: Path, tags: list[str]) -> tuple[str, ...]:
    if not tags:
        raise ConfigError(f"{path}: key 'languages' is empty; name at least one BCP 47 tag, such as en-US.")
    for tag in tags:
        if not _LANGUAGE.fullmatch(tag):
            hint = f" (did you mean '{tag.replace('_', '-')}'?)" if "_" in tag else ""
            raise ConfigError(
                f"{path}: key 'languages' holds {tag!r}{hint}; it must be BCP 47 tags, such as en-US or de."
            )
    return tuple(tags)


def _lexicon(path: Path, words: dict[str, str]) -> dict[str, str]:
    try:
        lexicon_of(words)
    except InvalidRequest as error:
        raise ConfigError(f"{path}: key 'lexicon': {error.message}") from None
    return words


def _files(path: Path, files: Mapping[str, str], declared: Mapping[str, PackFile]) -> dict[str, str]:
    for role in files:
        if role not in declared:
            allowed = ", ".join(declared) or "none"
            raise ConfigError(f"{path}: there is no key 'files.{role}'{meant(role, declared)}; allowed are {allowed}.")
    return dict(files)


def _options(path: Path, given: Mapping[str, Any], declared: Mapping[str, PackOption]) -> dict[str, Any]:
    for key in given:
        if key not in declared:
            allowed = ", ".join(declared) or "none"
            raise ConfigError(f"{path}: there is no key 'options.{key}'{meant(key, declared)}; allowed are {allowed}.")
    options = {name: option.default for name, option in declared.items()}
    for key, value in given.items():
        option = declared[key]
        setting = Setting(option.doc, ge=option.ge, le=option.le, choices=option.choices)
        options[key] = check_value(str(path), f"options.{key}", value, type(option.default), setting)
    return options
