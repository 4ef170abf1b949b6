"""A child over two pipes, as recognisers and voices use it: real processes that misbehave."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from parley.children.process import ChildGone, ChildProcess
from parley.testing.echo_child import DIE, ECHO, HANG, PRINT

CHILD = "parley.testing.echo_child"


@pytest.fixture
def child() -> Iterator[ChildProcess]:
    started = ChildProcess(CHILD)
    yield started
    started.kill()
    started.close()


def test_what_a_native_library_prints_to_descriptor_1_does_not_come_between_the_messages(child: ChildProcess) -> None:
    assert child.ask(PRINT, b"after the print") == (ECHO, b"after the print")
    assert child.ask(ECHO, b"and on") == (ECHO, b"and on")


def test_a_child_that_does_not_answer_is_given_up_after_its_limit(child: ChildProcess) -> None:
    with pytest.raises(ChildGone, match=r"no answer within 0\.2 s"):
        child.ask(HANG, limit=0.2)
    assert not child.alive


def test_a_stopped_child_is_given_up_like_one_that_hangs(child: ChildProcess) -> None:
    child.ask(ECHO)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(ChildGone, match="no answer"):
        child.ask(ECHO, limit=0.2)
    assert not child.alive


def test_a_message_longer_than_a_pipe_to_a_stopped_child_waits_no_longer_than_the_limit(child: ChildProcess) -> None:
    child.ask(ECHO)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(ChildGone, match="no answer"):
        child.ask(ECHO, bytes(1 << 22), limit=0.2)


def test_how_a_child_died_is_said(child: ChildProcess) -> None:
    with pytest.raises(ChildGone, match="signal SIGKILL"):
        child.ask(DIE)


def test_who_waits_for_a_child_that_is_killed_hears_of_it(child: ChildProcess) -> None:
    child.ask(ECHO)
    threading.Timer(0.1, child.kill).start()
    with pytest.raises(ChildGone, match="signal SIGKILL"):
        child.receive()


def test_no_process_is_left_of_a_child_that_was_closed() -> None:
    child = ChildProcess(CHILD)
    child.ask(ECHO)
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_child_that_hangs_ends_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # it dies without a word, while its child hangs
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    ended, _, _ = select.select([child], [], [], 30)  # readable once the process is dead, whoever waits for it
    os.close(child)
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()
    assert ended


PARENT = f"""
from parley.children.process import ChildProcess
from parley.testing.echo_child import ECHO, HANG
child = ChildProcess({CHILD!r})
child.ask(ECHO)
print(child.pid, flush=True)
child.ask(HANG)
"""
