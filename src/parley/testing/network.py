"""Several hosts on one machine: network namespaces with addresses of their own, whose cables can be pulled.

Linux with the right to make namespaces (root, or a container that is allowed to).
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import Self


class NoNamespaces(Exception):
    """This machine does not let us make hosts; the message says why."""


class Switch:
    """A bridge on this machine, which is the host at ``address``, and hosts plugged into it."""

    def __init__(self) -> None:
        self._tag = f"pl{os.getpid() % 100_000}"
        self._subnet = f"10.{77 + os.getpid() % 100}.{os.getpid() // 100 % 256}"
        self._stack = ExitStack()
        self._count = 1
        self.address = f"{self._subnet}.1"

    def __enter__(self) -> Self:
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
        except OSError as error:
            raise NoNamespaces(f"a network bridge cannot be made here: {error}") from error
        self._stack.callback(_quietly, "link", "del", self._bridge)
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def _bridge(self) -> str:
        return f"{self._tag}br"

    def host(self) -> Host:
        """One more host on the switch."""
        self._count += 1
        number = self._count
        name, port = f"{self._tag}h{number}", f"{self._tag}p{number}"
        try:
            _ip("netns", "add", name)
        except OSError as error:
            raise NoNamespaces(f"a network namespace cannot be made here: {error}") from error
        self._stack.callback(_quietly, "netns", "del", name)
        address = f"{self._subnet}.{number}"
        _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._stack.callback(_quietly, "link", "del", port)
        _ip("link", "set", port, "master", self._bridge)
        _ip("link", "set", port, "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return Host(name, address, port)


class Host:
    """A namespace with one address."""

    def __init__(self, name: str, address: str, port: str) -> None:
        self.address = address
        self.prefix = ("ip", "netns", "exec", name)
        """In front of a command that is to run there."""
        self._port = port

    def unplug(self) -> None:
        """Pull the cable: nothing arrives any more, and nobody is told."""
        _ip("link", "set", self._port, "down")

    def plug_in(self) -> None:
        """Put it back."""
        _ip("link", "set", self._port, "up")


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(result.stderr.strip() or f"ip {' '.join(arguments)} failed")


def _quietly(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=False)
