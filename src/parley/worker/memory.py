"""How much memory a process takes, and giving back what an engine has let go of."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path


def process_memory(pid: int | None = None) -> int:
    """Resident bytes of a process (this one by default); 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def release_memory() -> None:
    """Collect garbage and hand free heap pages back to the system, where its C library can."""
    gc.collect()
    if sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):
            return
