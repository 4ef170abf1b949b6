"""Every model that Parley knows: of all kinds, fetched or not, in use or not; with a server or without one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from parley.cli import tables
from parley.hints import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Group
    from rich.table import Table

    from parley.cli.running import RunningServer
    from parley.config import Settings
    from parley.store import Entry, Store
    from parley.values import ModelInfo
    from parley.worker.voicepacks import VoicePackCatalog

KIND_NAMES = {
    "ears": "hearing", "voice": "speaking", "turn": "turn taking", "interruption": "interruptions", "llm": "answering",
}  # fmt: skip
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Listed:
    """One model, and how it stands with it here."""

    model_id: str
    kind: str
    engine: str
    licence: str
    """Of the weights."""
    engine_package: str
    engine_licence: str
    engine_note: str
    engine_installed: bool
    origin: str
    languages: tuple[str, ...]
    description: str
    size_mb: int
    memory_mb: int
    sources: tuple[str, ...]
    embedded: bool
    """It is part of Parley."""
    installed: bool
    path: str
    in_use: bool
    forbidden: str
    """Why its licence does not allow it here."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class InUse:
    """Which models are in use: by servers that run here, else by one that would start with these settings."""

    by: str
    models: frozenset[tuple[str, str]]
    """Kind and id."""


# --- what there is -----------------------------------------------------------------------


def inventory(settings: Settings, use: InUse) -> list[Listed]:
    """Embedded models, those of the catalog, and voice packs that no catalog knows; by kind, preferred ones first."""
    from parley.cli.shelf import opened
    from parley.cli.worker import voices_here
    from parley.store.embedded import EMBEDDED

    catalog, store = opened(settings)
    packs = voices_here(settings)
    own = {entry.model_id for entry in EMBEDDED}
    found = [_embedded(entry, use) for entry in EMBEDDED]
    found += [_known(entry, store, packs, use) for entry in catalog.models.values()]
    found += [
        _pack(info, packs, use)
        for info in packs.models()
        if info.model_id not in catalog.models and info.model_id not in own and "test" not in info.tags
    ]
    return sorted(found, key=lambda listed: list(KIND_NAMES).index(listed.kind))


def _embedded(entry: Entry, use: InUse) -> Listed:
    return _listed(entry, use, embedded=True, installed=True, path="")


def _known(entry: Entry, store: Store, packs: VoicePackCatalog, use: InUse) -> Listed:
    path = store.path(entry)
    if entry.kind == "voice" and (at := packs.folder(entry.model_id)) is not None:
        path = at
    installed = store.has(entry) or (entry.kind == "voice" and path != store.path(entry))
    return _listed(entry, use, embedded=False, installed=installed, path=str(path) if installed else "")


def _pack(info: ModelInfo, packs: VoicePackCatalog, use: InUse) -> Listed:
    """A voice pack that somebody has put there."""
    from parley.store import Entry
    from parley.worker import adapters

    entry = Entry(
        info.model_id,
        "voice",
        info.family,
        info.licence or "not stated",
        (),
        languages=info.languages,
        memory_mb=info.memory_bytes // 1_000_000,
        extra=adapters.family(info.family).extra,
    )
    return _listed(entry, use, embedded=False, installed=True, path=str(packs.folder(info.model_id) or ""))


def _listed(entry: Entry, use: InUse, *, embedded: bool, installed: bool, path: str) -> Listed:
    from parley.store.engines import engine_of, runnable

    package = engine_of(entry)
    return Listed(
        entry.model_id,
        entry.kind,
        entry.engine,
        entry.licence,
        engine_package=package.package if package else "",
        engine_licence=package.licence if package else "",
        engine_note=package.note if package else "",
        engine_installed=runnable(entry),
        origin=entry.origin,
        languages=entry.languages,
        description=entry.description,
        size_mb=entry.size_mb,
        memory_mb=entry.memory_mb,
        sources=tuple(map(str, entry.sources)),
        embedded=embedded,
        installed=installed,
        path=path,
        in_use=(entry.kind, entry.model_id) in use.models,
        forbidden=entry.forbidden,
    )


# --- what is in use ----------------------------------------------------------------------


def in_use(settings: Settings) -> InUse:
    """Asked of the servers that run here; where there is none that tells, it is what the settings lead to."""
    from parley.cli.chosen import models_named
    from parley.cli.running import found
    from parley.errors import ParleyError

    told = {server.url: models for server in found() if (models := _told(server, settings.server.api_key))}
    if told:
        return InUse(", ".join(told), frozenset(pair for models in told.values() for pair in _pairs(models)))
    try:
        return InUse("the next `parley up`", frozenset(_pairs(models_named(settings))))
    except ParleyError as error:
        return InUse(f"nobody: {error.message}", frozenset())


def _pairs(models: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((kind, name.strip()) for kind, names in models.items() for name in names.split(","))


def _told(server: RunningServer, api_key: str) -> dict[str, str]:
    """The models that a running server names; empty where it does not."""
    import httpx2

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        answer = httpx2.get(f"{server.url}/health", headers=headers, timeout=_PATIENCE, trust_env=False, verify=False)
        models = answer.json().get("models", {})
    except (httpx2.HTTPError, ValueError, AttributeError):
        return {}
    fits = isinstance(models, dict) and all(isinstance(name, str) for name in models.values())
    return models if fits else {}


# --- for people --------------------------------------------------------------------------


def listing(models: Sequence[Listed], use: InUse) -> Group:
    """All of them by kind, two lines each: how it stands with it here; licences, engine and origin."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    wide = max(len(model.model_id) for model in models)
    lines: list[Any] = [Text(f"Models; * is used by {use.by}")]
    for kind, name in KIND_NAMES.items():
        lines.append(Text(f"\n{name}", style="bold"))
        for model in models:
            if model.kind == kind:
                size = f"{model.size_mb} MB" if model.size_mb else ""
                mark, style = ("*", "green") if model.in_use else (" ", "")
                head = f"{mark} {model.model_id:{wide}}  {_here(model):18} {size:>7}  {tables.short(model.languages)}"
                lines.append(Text(head.rstrip(), style=style))
                lines.append(Padding(Text(_terms(model), style="dim"), (0, 0, 0, 4)))
    return Group(*lines)


def _terms(model: Listed) -> str:
    """Licence of the weights; engine and its licence; origin."""
    engine = f"{model.engine_package} ({model.engine_licence})" if model.engine_package else model.engine
    return "; ".join(part for part in (model.licence, f"engine {engine}", model.origin) if part)


def _here(model: Listed) -> str:
    if model.forbidden:
        return "not allowed"
    if model.embedded:
        return "built in"
    if model.installed:
        return "yes" if model.engine_installed else "without its engine"
    return "no"


def details(model: Listed, use: InUse) -> Table:
    """Everything about one of them."""
    from rich.markup import escape
    from rich.table import Table

    engine = model.engine
    if model.engine_package:
        terms = f"{model.engine_licence}, {model.engine_note}" if model.engine_note else model.engine_licence
        engine += f" (package {model.engine_package}, {terms})"
    rows = {
        "for": KIND_NAMES[model.kind],
        "description": model.description,
        "licence of the weights": model.licence,
        "origin": model.origin,
        "engine": engine if model.engine_installed else f"{engine}; not installed",
        "languages": ", ".join(model.languages),
        "size": f"{model.size_mb} MB" if model.size_mb else "",
        "memory": f"about {model.memory_mb} MB" if model.memory_mb else "",
        "sources": ", ".join(model.sources),
        "here": _where(model),
        "in use": f"by {use.by}" if model.in_use else "no",
        "not allowed": model.forbidden,
    }
    shown = Table(title=model.model_id, title_justify="left", show_header=False)
    for key, value in rows.items():
        if value:
            shown.add_row(key, escape(value))
    return shown


def _where(model: Listed) -> str:
    if model.embedded:
        return "built in"
    if model.forbidden:
        return ""
    fetch = command(f"pull {model.model_id}")
    if not model.installed:
        return f"no; `{fetch}` fetches it" if model.sources else "no"
    return model.path if model.engine_installed else f"{model.path}, without its engine; `{fetch}` brings it"
