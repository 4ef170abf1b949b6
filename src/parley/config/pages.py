"""The sample files and the reference page, written from the settings' own words."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from typing import Any

from parley.config.loading import tree
from parley.config.settings import ORCHESTRATOR_GROUPS, WORKER_GROUPS
from parley.config.tree import Group, Leaf, kind_name
from parley.session.settings import may_be_set_by_client

SAMPLES = {"orchestrator": ORCHESTRATOR_GROUPS, "worker": WORKER_GROUPS}
"""Name of a file under ``configs/`` -> the groups in it."""

_WIDTH = 110


def sample(name: str) -> str:
    """The text of ``configs/NAME.yaml``: every key with its comment and its default."""
    lines = [
        f"# Settings of a Parley {name}, with their defaults: keep what you change, delete the rest.",
        "# Flags count before PARLEY_* variables (PARLEY_SERVER__PORT=9000), and those before this file.",
        "# Written by `just docs`; docs/reference/settings.md explains the same keys.",
    ]
    for group in _chosen(SAMPLES[name]):
        lines += ["", *_yaml_group(group, 0)]
    return "\n".join(lines) + "\n"


def _chosen(names: Iterable[str]) -> list[Group]:
    groups = {member.path: member for member in tree().members if isinstance(member, Group)}
    return [groups[name] for name in names]


def _yaml_group(group: Group, depth: int) -> list[str]:
    pad = "  " * depth
    lines = [*_comment(group.doc, pad), f"{pad}{group.path.rpartition('.')[2]}:"]
    for member in group.members:
        if isinstance(member, Group):
            lines += _yaml_group(member, depth + 1)
        else:
            lines += _yaml_leaf(member, "  " * (depth + 1))
    return lines


def _yaml_leaf(leaf: Leaf, pad: str) -> list[str]:
    return [*_comment(_meaning(leaf), pad), f"{pad}{leaf.path.rpartition('.')[2]}: {shown(leaf.default)}"]


def _comment(text: str, pad: str) -> list[str]:
    return [f"{pad}# {line}" for line in textwrap.wrap(text, _WIDTH - len(pad))]


def _meaning(leaf: Leaf) -> str:
    allowed = _allowed(leaf)
    return f"{leaf.setting.doc} ({allowed})" if allowed else leaf.setting.doc


def _allowed(leaf: Leaf) -> str:
    setting = leaf.setting
    if setting.choices:
        return "one of " + ", ".join(setting.choices)
    unit = f" {setting.unit}" if setting.unit else ""
    if setting.ge is not None and setting.le is not None:
        return f"{setting.ge:g} to {setting.le:g}{unit}"
    if setting.ge is not None:
        return f"at least {setting.ge:g}{unit}"
    if setting.le is not None:
        return f"at most {setting.le:g}{unit}"
    return setting.unit


def shown(value: Any) -> str:
    """A value as YAML writes it on one line (JSON is YAML)."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False, default=str)


def reference() -> str:
    """The text of ``docs/reference/settings.md``."""
    lines = [
        "# Settings",
        "",
        "A setting has one name everywhere: `server.port` is `port:` under `server:` in a YAML file, "
        "`PARLEY_SERVER__PORT` in the environment (two underscores for each dot) and `--set server.port=9000` "
        "on the command line.",
        "Flags count before the environment, the environment before files, files before the defaults below.",
        "Files are named with `--config FILE` or in `PARLEY_CONFIG`; where neither is given, "
        "`configs/orchestrator.yaml` and `configs/worker.yaml` are read from the current folder when they are there.",
        "A list is written `[a, b]` in YAML, and `a,b` in a variable or a flag.",
        "A file `.env` in the current folder is read as if its lines were exported.",
        "Every value is checked at the start; an unknown key or a value that is not allowed stops the program "
        "with a sentence that says so.",
        "",
        "`parley config show` prints what is in force and marks what differs from the defaults.",
    ]
    for group in tree().groups():
        leaves = [member for member in group.members if isinstance(member, Leaf)]
        if group.path and leaves:
            lines += ["", f"## {group.path}", "", group.doc, *_per_session(group, leaves), "", *_table(leaves)]
    return "\n".join(lines) + "\n"


def _per_session(group: Group, leaves: list[Leaf]) -> list[str]:
    """Which of them a client may set, in a sentence."""
    free = [leaf.path.rpartition(".")[2] for leaf in leaves if _is_free(leaf)]
    if not free:
        return []
    which = "each of them" if len(free) == len(leaves) else ", ".join(f"`{name}`" for name in free)
    return [f"A client may set {which} for its own session ([how](websocket.md#settings-of-one-session))."]


def _is_free(leaf: Leaf) -> bool:
    return leaf.path.startswith("session.") and may_be_set_by_client(leaf.path)


def client_settings() -> str:
    """The table of what a client may set for its own session, for ``docs/reference/websocket.md``."""
    rows = ["| group | settings |", "| --- | --- |"]
    for group in tree().groups():
        free = [leaf for leaf in group.members if isinstance(leaf, Leaf) and _is_free(leaf)]
        if free:
            names = ", ".join(f"`{leaf.path.rpartition('.')[2]}`" for leaf in free)
            rows.append(f"| [`{group.path}`](settings.md#{group.path.replace('.', '')}) | {names} |")
    return "\n".join(rows) + "\n"


def _table(leaves: list[Leaf]) -> list[str]:
    rows = ["| key | default | allowed | effect |", "| --- | --- | --- | --- |"]
    for leaf in leaves:
        name = leaf.path.rpartition(".")[2]
        allowed = _allowed(leaf) if leaf.setting.choices or leaf.setting.ge is not None else ""
        allowed = allowed or ", ".join(part for part in (kind_name(leaf.kind), leaf.setting.unit) if part)
        effect = leaf.setting.doc + (" Secret: never printed or logged." if leaf.setting.secret else "")
        rows.append("| " + " | ".join(_cell(text) for text in (f"`{name}`", _default(leaf), allowed, effect)) + " |")
    return rows


def _default(leaf: Leaf) -> str:
    text = shown(leaf.default)
    return f"`{text}`" if len(text) < 60 else f"`{text[:56]}…`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
