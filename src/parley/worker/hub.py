"""Fetching known open voices from their hubs into a ``voicepacks`` folder.

Files land in a hidden folder beside the pack, are checked against the checksums that the catalog
or the hub states, and become visible to a worker in one step. What was fetched stays when the
network breaks, so the next try goes on from there.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from parley.errors import ConfigError, InvalidRequest, NotFound, ParleyError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parley.worker.known_voices import KnownVoice

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a voice on its hub."""

    path: str
    size: int
    sha256: str
    """Empty when neither the catalog nor the hub states one."""


def pull(
    model_id: str,
    voice: KnownVoice,
    root: Path,
    *,
    endpoint: str = "",
    replace: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch ``voice`` into ``root/<family>/<model_id>/``; returns that folder.

    ``endpoint`` is a mirror of the hub; ``say`` hears one line a step. Raises InvalidRequest when the
    folder exists and ``replace`` is False, UnavailableError without a network or with a wrong checksum,
    NotFound when the hub lacks a file, ConfigError when the disk is too full.
    """
    hub = _library()
    folder = root / voice.family / model_id
    if folder.exists() and not replace:
        raise InvalidRequest(f"{folder} exists; say --replace to fetch the voice again.")
    files = look_up(hub, model_id, voice, endpoint)
    staging = folder.parent / f".{model_id}.part"
    staging.mkdir(parents=True, exist_ok=True)
    _check_space(staging, files)
    for number, file in enumerate(files, 1):
        say(f"{number} of {len(files)}: {file.path} ({file.size / 1e6:.1f} MB)")
        _fetch(hub, voice, file, staging, endpoint)
    _finish(model_id, voice, staging, folder)
    return folder


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError(
            "Fetching voices needs the package huggingface-hub: pip install 'parley-voice[hub]'."
        ) from error
    return huggingface_hub


def look_up(hub: Any, model_id: str, voice: KnownVoice, endpoint: str = "") -> list[RemoteFile]:
    """Sizes and checksums of a voice's files, asked of the hub."""
    api = hub.HfApi(endpoint=endpoint or None)
    try:
        found = api.get_paths_info(voice.repo, list(voice.files), revision=voice.revision)
    except Exception as error:
        raise _explained(hub, error, voice, endpoint) from error
    by_path = {item.path: item for item in found}
    missing = [path for path in voice.files if path not in by_path]
    if missing:
        raise NotFound(
            f"The repository {voice.repo} has no {missing[0]} at {voice.revision}; correct 'voices.{model_id}' "
            "in model_catalog.yaml."
        )
    return [_remote(by_path[path], voice) for path in voice.files]


def _remote(item: Any, voice: KnownVoice) -> RemoteFile:
    stated = getattr(getattr(item, "lfs", None), "sha256", "") or ""
    return RemoteFile(item.path, int(getattr(item, "size", 0)), voice.sha256.get(item.path, stated))


def _fetch(hub: Any, voice: KnownVoice, file: RemoteFile, staging: Path, endpoint: str) -> None:
    try:
        path = Path(
            hub.hf_hub_download(
                voice.repo, file.path, revision=voice.revision, local_dir=staging, endpoint=endpoint or None
            )
        )
    except Exception as error:
        raise _explained(hub, error, voice, endpoint) from error
    if file.sha256 and sha256(path) != file.sha256:
        path.unlink()
        raise UnavailableError(
            f"{file.path} of {voice.repo} arrived with a wrong checksum and was deleted; try again, "
            "and distrust the source when it happens again."
        )


def _finish(model_id: str, voice: KnownVoice, staging: Path, folder: Path) -> None:
    """Give the files their names in the pack and make the pack visible."""
    ready = staging.with_suffix(".ready")
    shutil.rmtree(ready, ignore_errors=True)
    for remote, local in voice.files.items():
        target = ready / local
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(staging / remote, target)
    metadata: Mapping[str, Any] = {
        "source": f"https://huggingface.co/{voice.repo} at {voice.revision}",
        **voice.metadata,
    }
    text = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True)
    (ready / "metadata.yaml").write_text(f"# Written by 'parley models pull {model_id}'.\n{text}", "utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    ready.rename(folder)
    shutil.rmtree(staging, ignore_errors=True)


def _check_space(folder: Path, files: list[RemoteFile]) -> None:
    needed = sum(file.size for file in files)
    free = shutil.disk_usage(folder).free
    if needed * 1.05 > free:
        raise ConfigError(
            f"The voice takes {needed / 1e6:.0f} MB and {folder.parent} has {free / 1e6:.0f} MB free; make room first."
        )


def sha256(path: Path) -> str:
    """Checksum of a file as lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _explained(hub: Any, error: Exception, voice: KnownVoice, endpoint: str) -> ParleyError:
    """One sentence for what went wrong on the way to a hub."""
    errors = hub.errors
    where = endpoint or "https://huggingface.co"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnavailableError(
            "The hub's library is in offline mode (HF_HUB_OFFLINE is set); unset it to fetch voices."
        )
    if isinstance(error, errors.GatedRepoError):
        return UnavailableError(
            f"The repository {voice.repo} asks for an agreement first; accept it at {where}/{voice.repo} and "
            "log in with 'hf auth login'."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFound(f"The repository {voice.repo} has no revision {voice.revision}.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFound(f"There is no repository {voice.repo} at {where}, or it is private.")
    if isinstance(error, errors.LocalEntryNotFoundError) or not isinstance(error, errors.HfHubHTTPError):
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        return UnavailableError(
            f"{where} can not be reached ({reason}); check the network or name a mirror with --hub, "
            "or copy the voice's files into the folder by hand."
        )
    return UnavailableError(f"{where} refused {voice.repo}: {str(error).strip().splitlines()[0]}")
