"""The scripts that write files of ``deploy``, as modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]


def script(name: str) -> ModuleType:
    """``scripts/NAME.py``; scripts import each other by their bare names."""
    folder = str(ROOT / "scripts")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)
