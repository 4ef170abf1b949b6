"""A certificate that is renewed while the server runs is used without a restart; half of one is not."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from tests.integration.worker.test_security import Authority, Pair

from parley.observability.metrics import Metrics
from parley.server import runner
from parley.server.settings import ServerSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def put(pair: Pair, folder: Path) -> None:
    """Where the server looks for them."""
    for source, name in ((pair.cert, "cert.pem"), (pair.key, "key.pem")):
        shutil.copy(source, folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[int]:
    settings = ServerSettings(port=0, tls_cert=str(folder / "cert.pem"), tls_key=str(folder / "key.pem"))
    started = asyncio.Event()

    async def drain(_: float) -> bool:
        return True

    async def ready() -> None:
        started.set()

    with runner.listen(settings) as sock:
        work = runner.serve(
            Starlette(), settings, sock, max_message_bytes=1_000, tally=Metrics(), drain=drain, started=ready
        )
        task = asyncio.ensure_future(work)
        try:
            await started.wait()
            yield sock.getsockname()[1]
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def shown(port: int) -> str:
    """The certificate that somebody who connects now is shown."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=5)


async def until_shown(port: int, pair: Pair) -> None:
    async with asyncio.timeout(10):
        while (await shown(port)).strip() != Path(pair.cert).read_text().strip():
            await asyncio.sleep(0.02)


async def test_a_renewed_certificate_is_shown_to_whoever_connects_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RENEWAL_INTERVAL", 0.05)
    authority = Authority(tmp_path, "ours")
    first, second = authority.issue("first"), authority.issue("second")
    put(first, tmp_path)
    async with serving(tmp_path) as port:
        await until_shown(port, first)
        put(second, tmp_path)
        await until_shown(port, second)


async def test_a_certificate_without_its_key_is_not_taken_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "RENEWAL_INTERVAL", 0.05)
    authority = Authority(tmp_path, "ours")
    first, second = authority.issue("first"), authority.issue("second")
    put(first, tmp_path)
    async with serving(tmp_path) as port:
        await until_shown(port, first)
        shutil.copy(second.cert, tmp_path / "cert.pem")  # its key comes later
        out = ""
        async with asyncio.timeout(10):
            while "the old one stays" not in out:
                await asyncio.sleep(0.05)
                out += "".join(capfd.readouterr())
        await until_shown(port, first)
        shutil.copy(second.key, tmp_path / "key.pem")
        await until_shown(port, second)
