"""Models of the hub, through its own library: resumed, and checked against the checksums that the hub states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError, NotFound, ParleyError, UnavailableError
from parley.store.sources.parts import digest_of, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley.store.catalog import Entry, Source


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file on the hub."""

    path: str
    size: int
    sha256: str
    """Empty when the hub states none."""


def fetch(entry: Entry, source: Source, staging: Path, *, mirror: str, say: Callable[[str], None]) -> None:
    """Bring the files of a repository.

    Raises UnavailableError without a network or with a wrong checksum, NotFound when the hub lacks a file,
    ConfigError when the hub's library is missing.
    """
    hub = _library()
    files = look_up(hub, entry.model_id, source, mirror)
    brought = staging / "repository"
    for number, file in enumerate(files, 1):
        say(f"{number} of {len(files)}: {file.path} ({file.size / 1e6:.1f} MB)")
        _download(hub, source, file, brought, mirror)
    gather(entry, source, brought, staging)


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError("Fetching from the hub needs the package huggingface-hub; install the extra hub.") from error
    return huggingface_hub


def look_up(hub: Any, model_id: str, source: Source, mirror: str = "") -> list[RemoteFile]:
    """Sizes and checksums of a model's files, asked of the hub."""
    wanted = list(dict.fromkeys(part for parts in source.files.values() for part in parts))
    api = hub.HfApi(endpoint=mirror or None)
    try:
        found = api.get_paths_info(source.place, wanted, revision=source.revision)
    except Exception as error:  # somebody else's code, the hub's library: explained below
        raise _explained(hub, error, source, mirror) from error
    by_path = {item.path: item for item in found}
    missing = [path for path in wanted if path not in by_path]
    if missing:
        raise NotFound(
            f"The repository {source.place} has no {missing[0]} at {source.revision}; correct the entry "
            f"'{model_id}' in the catalog."
        )
    return [_remote(by_path[path]) for path in wanted]


def _remote(item: Any) -> RemoteFile:
    stated = getattr(getattr(item, "lfs", None), "sha256", "") or ""
    return RemoteFile(item.path, int(getattr(item, "size", 0)), stated)


def _download(hub: Any, source: Source, file: RemoteFile, brought: Path, mirror: str) -> None:
    try:
        path = Path(
            hub.hf_hub_download(
                source.place, file.path, revision=source.revision, local_dir=brought, endpoint=mirror or None
            )
        )
    except Exception as error:  # somebody else's code, the hub's library: explained below
        raise _explained(hub, error, source, mirror) from error
    if file.sha256 and digest_of(path, "sha256") != file.sha256:
        path.unlink()
        raise UnavailableError(
            f"{file.path} of {source.place} arrived with a wrong checksum and was deleted; try again, "
            "and distrust the source when it happens again."
        )


def _explained(hub: Any, error: Exception, source: Source, mirror: str) -> ParleyError:
    """One sentence for what went wrong on the way to a hub."""
    errors = hub.errors
    where = mirror or "https://huggingface.co"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return UnavailableError(
            "The hub's library is in offline mode (HF_HUB_OFFLINE is set); unset it to fetch models."
        )
    if isinstance(error, errors.GatedRepoError):
        return UnavailableError(
            f"The repository {source.place} asks for an agreement first; accept it at {where}/{source.place} and "
            "log in with 'hf auth login'."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFound(f"The repository {source.place} has no revision {source.revision}.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFound(f"There is no repository {source.place} at {where}, or it is private.")
    if isinstance(error, errors.LocalEntryNotFoundError) or not isinstance(error, errors.HfHubHTTPError):
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        return UnavailableError(
            f"{where} can not be reached ({reason}); check the network or name a mirror with --hub, "
            "or copy the model's files into the folder by hand."
        )
    return UnavailableError(f"{where} refused {source.place}: {str(error).strip().splitlines()[0]}")
