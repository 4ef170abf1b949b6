"""The processes of a running Parley by what they do, for tools that want a number: `just spy-top orchestrator`.

python scripts/roles.py                 all of this user, each with its role
python scripts/roles.py orchestrator    the number of the only one; also worker, ears, voice, or a number itself
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

import psutil

_MODULES = {"parley.asr.child": "ears", "parley.worker.engine_child": "voice"}
_COMMANDS = {"up": "orchestrator", "serve": "orchestrator", "worker": "worker"}
ROLES = ("orchestrator", "worker", "ears", "voice")


class NoSuchProcessError(Exception):
    """One sentence: what there is instead."""


def role_of(words: Sequence[str]) -> str:
    """What a process with this command line does; "" when it is none of ours. `parley up` holds the conversations."""
    for place, word in enumerate(words[:4]):
        if word in _MODULES and words[place - 1] == "-m":
            return _MODULES[word]
        if PurePath(word).name == "parley":
            return next((_COMMANDS[each] for each in words[place + 1 :] if each in _COMMANDS), "")
    return ""


def chosen(wanted: str, there: Iterable[tuple[int, str]]) -> int:
    """The number of the one process of this role. Raises NoSuchProcessError."""
    if wanted.isdecimal():
        return int(wanted)
    if wanted not in ROLES:
        raise NoSuchProcessError(f"{wanted} is no role; there are {', '.join(ROLES)}, or the number of a process.")
    numbers = [number for number, role in there if role == wanted]
    if not numbers:
        raise NoSuchProcessError(f"No {wanted} runs here.")
    if len(numbers) > 1:
        raise NoSuchProcessError(f"Several run here; name one by its number: {', '.join(map(str, numbers))}.")
    return numbers[0]


def here() -> Iterator[tuple[int, str]]:
    """Number and role of each of ours, oldest first."""
    for process in psutil.process_iter(["cmdline"]):
        if role := role_of(process.info["cmdline"] or ()):
            yield process.pid, role


def main(words: Sequence[str]) -> int:
    """Print; returns the exit code."""
    if not words:
        for number, role in here():
            print(f"{number:>8} {role}")
        return 0
    try:
        print(chosen(words[0], here()))
    except NoSuchProcessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
