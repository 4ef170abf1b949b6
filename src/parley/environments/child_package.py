"""The part of Parley that lives in every environment: what an engine's child needs, and nothing of the server.

A distribution of its own, ``parley-engine``, made from this very installation: the modules that the child's own
entries import, as one wheel. Its version ends in a digest of their text, so that an environment knows whether it
has the part that belongs to the Parley that asks.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import zipfile
from functools import cache
from pathlib import Path

from parley import __version__

ENTRIES = (
    "parley.asr.child",
    "parley.asr.whisperx_decoder",
    "parley.worker.engine_child",
    "parley.worker.adapters.csm",
    "parley.worker.adapters.parler",
)
"""What runs in a child: the main modules, and the engines that they are told to make."""
REQUIRES = ("numpy",)

_ROOT = Path(__file__).resolve().parents[2]
_THEN = (1980, 1, 1, 0, 0, 0)
"""A wheel of the same text has the same bytes."""


@cache
def modules() -> dict[str, bytes]:
    """Path in the wheel -> text, for all that the entries import, without what only the type checker reads."""
    found: dict[str, bytes] = {}
    waiting = list(ENTRIES)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or (place := path.relative_to(_ROOT).as_posix()) in found:
            continue
        found[place] = path.read_bytes()
        waiting += _imports(ast.parse(found[place]))
        waiting += [name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)]
    return dict(sorted(found.items()))


@cache
def version() -> str:
    """Of the distribution, such as "0.1.0+3f2a..."."""
    digest = hashlib.sha256()
    for place, text in modules().items():
        digest.update(place.encode() + b"\0" + text + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


def write_wheel(folder: Path) -> Path:
    """The distribution as a wheel in ``folder``; returns its path."""
    return pack(folder, "parley_engine", version(), modules(), REQUIRES)


def pack(folder: Path, name: str, version: str, files: dict[str, bytes], requires: tuple[str, ...] = ()) -> Path:
    """A wheel of pure Python files (path in it -> content)."""
    about = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"]
    lines += [f"Requires-Dist: {requirement}\n" for requirement in requires]
    all_files = {
        **files,
        f"{about}/METADATA": "".join(lines).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: parley\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{place},sha256={_digest(content)},{len(content)}" for place, content in all_files.items()]
    record.append(f"{about}/RECORD,,")
    all_files[f"{about}/RECORD"] = "\n".join(record).encode() + b"\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for place, content in all_files.items():
            wheel.writestr(zipfile.ZipInfo(place, _THEN), content, zipfile.ZIP_DEFLATED)
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _file(module: str) -> Path | None:
    """Where a module of ours lies; None for anything else."""
    path = _ROOT.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py")) if module.split(".")[0] == "parley" else ()
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(node: ast.AST) -> list[str]:
    """Names of modules, and of what may be modules, that a text imports."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            found += [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and child.module:
            found += [child.module, *(f"{child.module}.{alias.name}" for alias in child.names)]
        found += _imports(child)
    return found
