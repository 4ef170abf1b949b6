"""The program ``uv``, which finds interpreters, makes environments and installs packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from parley.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIMEOUT = 1800
_CAUSE = re.compile(r"^(?:error|cause|caused by): *", re.IGNORECASE)


def program() -> str | None:
    """Where it is, on a machine that has it."""
    return os.environ.get("UV") or shutil.which("uv")


def needed(what: str) -> str:
    """Where it is. Raises ConfigError for ``what`` cannot be done without it."""
    found = program()
    if found is None:
        raise ConfigError(f"{what} needs uv, a program that is not on this machine; install that first.")
    return found


def interpreters(uv: str) -> list[dict[str, Any]]:
    """The Pythons on this machine, as uv describes them; nothing is fetched."""
    asked = [uv, "python", "list", "--only-installed", "--no-python-downloads", "--output-format", "json"]
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ConfigError(f"uv cannot say which Pythons are on this machine{reason(done.stderr)}.")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def run(command: Sequence[str], *, cwd: str | Path, what: str, failing: str = "cannot be fetched") -> None:
    """Run an installer, its progress shown where somebody looks on. Raises UnavailableError with its last sentence."""
    quiet = not sys.stderr.isatty()
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"Fetching {what} took more than {_TIMEOUT // 60} minutes; try again.") from None
    if done.returncode:
        raise UnavailableError(f"{what} {failing}{reason(done.stdout)}.")


def reason(output: str | None) -> str:
    """What a program gave as its last cause, or said last; all of it was on the screen where somebody looked on."""
    lines = [line.strip(" ×╰─▶│├") for line in (output or "").splitlines()]
    causes = [place for place, line in enumerate(lines) if _CAUSE.match(line)]
    said = list(takewhile(bool, lines[causes[-1] :])) if causes else [line for line in lines if line][-1:]
    text = _CAUSE.sub("", " ".join(said)).rstrip(".")
    return f" ({text})" if text else ""
