"""A child that answers with what it was asked, and misbehaves on request: ``python -m parley.testing.echo_child``."""

from __future__ import annotations

import os
import signal
import threading

from parley.children import wire
from parley.children.inside import Orders, claim_pipes

ECHO, PRINT, HANG, DIE = b"E", b"P", b"H", b"D"


def main() -> None:
    incoming, outgoing = claim_pipes()
    orders = Orders(incoming)
    while True:
        kind, body = orders.next()
        if kind == PRINT:
            os.write(1, b"a native library says hello\n" * 100)
            print("and so does Python", flush=True)
        elif kind == HANG:
            threading.Event().wait()
        elif kind == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        wire.write(outgoing, ECHO, body)


if __name__ == "__main__":
    main()
