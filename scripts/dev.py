"""Everything that Parley is made of, on this machine, for whoever works on it: `just dev`.

Redis, a LiveKit server, two workers, an orchestrator, the page by vite, and Caddy with HTTPS in front, each with a
colour of its own here and a file of its own below logs/. What ends is started again; orchestrator and workers are too
when src changes. One Ctrl-C ends all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TextIO

import psutil
from dev_plan import MISSING, PROGRAMS, Asked, Plan, Ports, Service, Watched, left_out, plan

from parley.children.backoff import Backoff
from parley.folders import data_folder

ROOT = Path(__file__).resolve().parent.parent
KEEPER = ROOT / "src/parley/children/keeper.py"
LOGS = ROOT / "logs"
GRACE = 6.0
"""Seconds from the request to end to the end; with the keeper's own two it stays under ten."""
POLL = 0.5
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)


class CannotStartError(Exception):
    """One sentence: why, and what to do."""


# --- one process ---------------------------------------------------------------------------------


@dataclass
class Kept:
    """A service that runs, is started again when it ends, and ends with us whatever ends us."""

    service: Service
    colour: int
    log: TextIO
    width: int
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    asked_to_end: bool = False
    _life: int = -1
    """Our end of the pipe that the keeper listens to: it ends the program when this closes."""

    def say(self, text: str) -> None:
        """A line in its file and in the terminal."""
        now = dt.datetime.now(dt.UTC).astimezone()
        self.log.write(f"{now.isoformat(timespec='milliseconds')} {text}\n")
        self.log.flush()
        name = self.service.name.ljust(self.width)
        if sys.stdout.isatty():
            name = f"\x1b[{self.colour}m{name}\x1b[0m"
        print(f"{now:%H:%M:%S} {name} {text}", flush=True)

    async def run(self, others: Mapping[str, Kept]) -> None:
        """Until cancelled. Raises CannotStartError when it ends before it was ready for the first time."""
        for name in self.service.after:
            await others[name].ready.wait()
        loop = asyncio.get_running_loop()
        backoff, was_ready = Backoff(), False
        while True:
            began, self.asked_to_end = loop.time(), False
            code = await self._live()
            was_ready = was_ready or self.ready.is_set()
            self.ready.clear()
            if self.asked_to_end:
                continue
            if not was_ready:
                raise CannotStartError(f"{self.service.name} ended before it was ready: see {self.log.name}.")
            wait = backoff.after(loop.time() - began)
            self.say(f"ended with {code}; it is started again in {wait:g} s")
            await asyncio.sleep(wait)

    async def _live(self) -> int:
        life, self._life = os.pipe()
        command = (sys.executable, str(KEEPER), str(life), *self.service.command)
        self.process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=ROOT / self.service.folder,
            env={**os.environ, **self.service.environment, "PYTHONUNBUFFERED": "1"},
            pass_fds=(life,),
            limit=2**20,
            start_new_session=True,  # Ctrl-C is for us, who pass it on once
        )
        os.close(life)
        looking = asyncio.create_task(self._look()) if self.service.port else None
        try:
            assert self.process.stdout is not None
            async for line in self.process.stdout:
                text = line.decode(errors="replace").rstrip()
                self.say(text)
                if self.service.ready and text.startswith(self.service.ready):
                    self.ready.set()
            return await self.process.wait()
        finally:
            if looking is not None:
                looking.cancel()
            await asyncio.shield(self._end())

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
                writer.close()
                self.ready.set()
                return
            await asyncio.sleep(0.05)

    def ask_to_end(self) -> None:
        """Let the program end in its own way, to be started again at once."""
        self.asked_to_end = True
        self._tell_to_end()

    def _tell_to_end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for program in psutil.Process(self.process.pid).children():  # below the keeper
                    program.terminate()

    async def _end(self) -> None:
        """The program has a while to end by itself; then the keeper ends it, and all that it has started."""
        assert self.process is not None
        self._tell_to_end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self.process.wait()
        os.close(self._life)
        await self.process.wait()


# --- all of them ---------------------------------------------------------------------------------


async def run(made: Plan, logs: Path, watched: Path | None) -> None:
    """Start everything, and end it on SIGINT or SIGTERM. Raises CannotStartError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    width = max(len(service.name) for service in made.services)
    with contextlib.ExitStack() as stack:
        kept = {
            service.name: Kept(
                service,
                COLOURS[place % len(COLOURS)],
                stack.enter_context((logs / f"{service.name}.log").open("a", encoding="utf-8")),
                width,
            )
            for place, service in enumerate(made.services)
        }
        tasks = [asyncio.create_task(each.run(kept), name=name) for name, each in kept.items()]
        tasks.append(asyncio.create_task(_announce(kept, made.url)))
        if watched is not None:
            tasks.append(asyncio.create_task(_reload(kept, watched)))
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    tasks.remove(task)
                    task.result()
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)


async def _announce(kept: Mapping[str, Kept], url: str) -> None:
    for each in kept.values():
        await each.ready.wait()
    print(f"Everything is ready: {url}   (Ctrl-C ends it)", flush=True)


def stamps(folder: Path) -> dict[str, int]:
    """When each Python file in it was last written."""
    found = {}
    for path in folder.rglob("*.py"):
        with contextlib.suppress(OSError):  # it has just been deleted
            found[str(path)] = path.stat().st_mtime_ns
    return found


async def _reload(kept: Mapping[str, Kept], folder: Path) -> None:
    now = await asyncio.to_thread(stamps, folder)
    state = Watched(now, now)
    while True:
        await asyncio.sleep(POLL)
        state, names = state.look(await asyncio.to_thread(stamps, folder))
        if names:
            print(f"{Path(names[0]).name} changed: orchestrator and workers are started again", flush=True)
            for each in kept.values():
                if each.service.reloads:
                    each.ask_to_end()


# --- what is here --------------------------------------------------------------------------------


def installed() -> set[str]:
    """The services of others that can run here."""
    have = {service for program, service in PROGRAMS.items() if shutil.which(program)}
    return have | ({"vite"} if (ROOT / "web/node_modules/.bin/vite").exists() else set())


def _taken(port: int, *, udp: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        if not udp:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just been left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def check(ports: Ports, workers: int) -> None:
    """Raise CannotStartError when a port is taken."""
    taken = [f"{port} ({name})" for name, port in ports.all(workers).items() if _taken(port, udp=name.endswith("_udp"))]
    if taken:
        raise CannotStartError(f"Taken already: {', '.join(taken)}. End what listens there, or add --free-ports.")


def free(workers: int) -> Ports:
    """Ports that nobody uses now."""
    names = [each.name for each in fields(Ports)]
    while True:
        with contextlib.ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in names]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            ports = Ports(**{name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)})
        numbers = ports.all(workers)
        if len(set(numbers.values())) == len(numbers) and max(numbers.values()) < 65_536:
            with contextlib.suppress(CannotStartError):
                check(ports, workers)
                return ports


def _folder_of_logs() -> Path:
    folder = LOGS / f"{dt.datetime.now(dt.UTC).astimezone():%Y%m%d-%H%M%S}-{os.getpid()}"
    folder.mkdir(parents=True)
    latest = LOGS / "latest"
    with contextlib.suppress(OSError):
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name)
    return folder


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voice", nargs="?", default="", help="the model that speaks; the best here by default")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, 17), metavar="N", help="2 by default")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--without", action="append", default=[], choices=sorted(MISSING), help="leave this one out")
    parser.add_argument("--no-reload", action="store_true", help="let code change without starting anything again")
    parser.add_argument("--free-ports", action="store_true", help="any ports, for a second one beside another")
    parser.add_argument("--watch", type=Path, default=ROOT / "src", help="the folder whose changes count: src")
    given = parser.parse_args()
    try:
        ports = free(given.workers) if given.free_ports else Ports()
        check(ports, given.workers)
        have = installed() - set(given.without)
        for sentence in left_out(have):
            print(sentence, flush=True)
        asked = Asked(ports, given.workers, given.voice, tuple(given.settings))
        with tempfile.TemporaryDirectory(prefix="parley-dev-") as folder:
            made = plan(asked, have, Path(folder), secrets.token_hex(24), data_folder() / "dev")
            for name, text in made.files.items():
                Path(folder, name).write_text(text, "utf-8")
            logs = _folder_of_logs()
            print(f"Logs: {logs.relative_to(ROOT)}", flush=True)
            asyncio.run(run(made, logs, None if given.no_reload else given.watch))
        print("Ended.", flush=True)
    except CannotStartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
