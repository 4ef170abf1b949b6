"""Write ``docs/reference/voice-packs.md`` from the schema in the code, or check that it is current.

python scripts/voice_pack_docs.py            writes it
python scripts/voice_pack_docs.py --check    exit code 1 when it is out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from parley.settings import Setting
from parley.store.catalog import KINDS, KnownModel, KnownVoice, read_catalog
from parley.worker import adapters
from parley.worker.metadata import PackMetadata, Reference

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "voice-packs.md"

_HEAD = """\
# Voice packs

<!-- Written by scripts/voice_pack_docs.py from the code; change it there. -->

A voice pack is a folder `voicepacks/<family>/<model_id>/` with a `metadata.yaml` and the model's files.
The folder's name is the model's id; ids are unique across families.
A worker looks into the folders that `worker.voicepacks` names,
when it starts and whenever a model is loaded or reloaded.
Folders whose names begin with a dot or an underscore are left alone.

```yaml
# voicepacks/piper/amy/metadata.yaml
languages: [en-US]
licence: CC0-1.0
tags: [cpu_ok]
sample_rate: 22050
memory_mb: 120
```

A mistake is named with the file, the key, the value and what is allowed.
It does not hide the other packs: the model is listed as failed, and loading it is refused with the same sentence.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            "## Keys of metadata.yaml\n",
            _table(PackMetadata),
            "### Keys of `reference`\n",
            _table(Reference),
            "## Families\n",
            "The licence is that of the engine's code; the weights of each voice have their own, in its `licence`.\n",
            *(_family(name) for name in adapters.FAMILIES),
            "## model_catalog.yaml\n",
            "A file of this name beside the packs adds to the one that Parley brings along.",
            "It holds `models` and `voices` (below), `aliases` (other names for models), `pins` (voices never evicted)",
            "and `recommended` (what `parley pull recommended` fetches).\n",
            "```yaml\naliases: {amy: en_US-amy-medium}\npins: [amy]\n```\n",
            "### Keys of a model\n",
            "A source names one of `hf`, `pip`, `url` or `file`, and its `files`: name in the store to path at the",
            "source, or to a list of parts that are joined.",
            "What comes from a package is unpacked as data and never imported or run.\n",
            _table(KnownModel),
            "### Keys of a voice\n",
            "The short form for a voice with one repository of the hub behind it.\n",
            _table(KnownVoice),
            "### Models that are known\n",
            _known(),
        ]
    )


def _table(schema: type) -> str:
    hints = get_type_hints(schema, include_extras=True)
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for item in fields(schema):
        kind, setting = get_args(hints[item.name])[:2]
        lines.append(f"| `{item.name}` | {_kind(kind)} | {_default(item)} | {_meaning(setting)} |")
    return "\n".join(lines) + "\n"


def _kind(kind: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", list[str]: "list of texts"}
    return names.get(kind, "mapping" if kind is not Reference else "`reference`")


def _default(item: Any) -> str:
    if item.default is not MISSING:
        return f"`{_yaml(item.default)}`" if not isinstance(item.default, Reference) else ""
    return "**required**" if item.default_factory is MISSING else ""


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)


def _meaning(setting: Setting) -> str:
    limits = (("at least", setting.ge), ("at most", setting.le))
    bounds = [f"{word} {bound if bound % 1 else round(bound)}" for word, bound in limits if bound is not None]
    bounds += [f"one of {', '.join(setting.choices)}"] if setting.choices else []
    unit = f" {setting.unit}" if setting.unit else ""
    return setting.doc + (f" ({', '.join(bounds)}{unit})" if bounds else "")


def _family(name: str) -> str:
    family, cls = adapters.FAMILIES[name], adapters.adapter_class(name)
    story = (sys.modules[cls.__module__].__doc__ or "").strip().replace("``", "`")
    lines = [f"### {name}\n", re.sub(r":\w+:`", "`", story) + "\n"]
    install = f"Install it with `uv sync --extra {family.extra} --inexact`." if family.extra else "Nothing to install."
    lines.append(f"{install}\nLicence of the engine: {family.code_licence}.\n")
    if cls.files:
        lines += ["| file | name or pattern | holds |", "| --- | --- | --- |"]
        for role, file in cls.files.items():
            lines.append(
                f"| `{role}` | `{file.pattern}` | {file.doc}{'' if file.required else ' (where it needs one)'} |"
            )
        lines.append("")
    if cls.options:
        lines += ["| option | default | meaning |", "| --- | --- | --- |"]
        for key, option in cls.options.items():
            setting = Setting(option.doc, ge=option.ge, le=option.le, choices=option.choices)
            lines.append(f"| `{key}` | `{_yaml(option.default)}` | {_meaning(setting)} |")
        lines.append("")
    return "\n".join(lines)


def _known() -> str:
    lines = [
        "`parley pull <id>` fetches one; read its licence before you ship it.\n",
        "| id | kind | engine | languages | licence of the weights | size | sources |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    catalog = read_catalog()
    for kind in KINDS:
        for model_id, entry in catalog.of_kind(kind).items():
            languages = ", ".join(entry.languages)
            sources = ", ".join(dict.fromkeys(source.scheme for source in entry.sources)) or entry.forbidden
            size = f"{entry.size_mb} MB" if entry.size_mb else ""
            lines.append(
                f"| `{model_id}` | {kind} | {entry.engine} | {languages} | {entry.licence} | {size} | {sources} |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check; returns the exit code."""
    text = page()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        current = PAGE.exists() and PAGE.read_text("utf-8") == text
        if not current:
            print(f"{PAGE} is out of date; run scripts/voice_pack_docs.py", file=sys.stderr)
        return 0 if current else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
