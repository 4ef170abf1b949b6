"""Real workers, a real Redis: who is there is known, and no word is lost when they come and go."""

from __future__ import annotations

import asyncio
import shutil
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from parley import clock
from parley.errors import Unauthorized, UnavailableError
from parley.routing.settings import ClientTlsSettings, FailoverSettings
from parley.values import Voice

from .conftest import LEASE, Fleet, Hearing, count, hear, serving, until, words

if TYPE_CHECKING:
    from pathlib import Path

    from parley.routing.pool import PooledSynthesizer

pytestmark = pytest.mark.anyio


async def test_a_started_worker_is_found_with_its_models(fleet: Fleet) -> None:
    await fleet.start("alpha")
    pool = await fleet.pool(known=1)
    announcement = pool.fleet.members["alpha"].announcement
    assert announcement.address == fleet.workers["alpha"].address
    assert "tone-words" in announcement.resident_models
    assert announcement.model("espeak") is not None


async def test_a_killed_worker_leaves_within_its_lease(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    await fleet.workers["alpha"].kill()
    killed = clock.now()
    await until(lambda: "alpha" not in pool.fleet.members)
    assert clock.now() - killed < LEASE + 1.0
    assert "beta" in pool.fleet.members


async def test_a_drained_worker_leaves_at_once(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    await fleet.workers["alpha"].drain()
    await until(lambda: "alpha" not in pool.fleet.members, timeout=LEASE / 2)


async def test_sessions_spread_over_equal_workers(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta", "gamma")
    pool = await fleet.pool(known=3)
    for number in range(30):
        await pool.open_session(f"s{number}", Voice())
    shares = [sum(serving(pool, f"s{i}") == name for i in range(30)) for name in fleet.workers]
    assert sum(shares) == 30
    assert min(shares) >= 4


async def test_a_session_goes_where_its_model_is_in_memory(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    await fleet.start("gamma", model="tone")
    pool = await fleet.pool(known=3)
    for number in range(5):
        await pool.open_session(f"s{number}", Voice("tone"))
    assert {serving(pool, f"s{i}") for i in range(5)} == {"gamma"}


async def test_two_workers_on_one_machine_are_told_apart_by_name(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    addresses = {member.announcement.address for member in pool.fleet.members.values()}
    assert len(addresses) == 2


@pytest.mark.parametrize("after", [0.0, 0.4, 1.1])
async def test_a_reply_is_finished_when_its_worker_is_killed(fleet: Fleet, after: float) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    await pool.open_session("s", Voice())
    hearing = Hearing(pool, count(1, 16))
    await hearing.heard(after)
    await fleet.workers[serving(pool)].kill()
    assert words(await hearing.all()) == list(range(1, 17))


async def test_a_reply_is_finished_when_its_worker_hangs(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    await pool.open_session("s", Voice())
    hearing = Hearing(pool, count(1, 20))
    await hearing.heard(0.5)
    fleet.workers[serving(pool)].signal(signal.SIGSTOP)
    assert words(await hearing.all()) == list(range(1, 21))


async def test_a_reply_made_at_the_speed_of_speech_is_finished_too(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta", model="tone-words-paced")
    pool = await fleet.pool(known=2)
    await pool.open_session("s", Voice())
    hearing = Hearing(pool, count(1, 12))
    await hearing.heard(1.35)
    await fleet.workers[serving(pool)].kill()
    assert words(await hearing.all()) == list(range(1, 13))


def listed(pool: PooledSynthesizer, name: str, address: str) -> bool:
    member = pool.fleet.members.get(name)
    return member is not None and member.announcement.address == address


async def test_three_workers_are_restarted_one_by_one_under_twenty_conversations(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta", "gamma")
    pool = await fleet.pool(known=3)
    stop = asyncio.Event()
    heard: dict[str, list[list[int]]] = {}

    async def talk(session: str) -> None:
        await pool.open_session(session, Voice())
        number = 0
        while not stop.is_set():
            number += 1
            frames = await hear(pool, count(1, 8), session=session, utterance=f"u{number}")
            heard.setdefault(session, []).append(words(frames))

    talking = [asyncio.ensure_future(talk(f"s{i}")) for i in range(20)]
    await until(lambda: len(heard) == 20)  # all of them have had a reply, and are in the midst of another
    for name in ("alpha", "beta", "gamma"):
        await fleet.workers[name].drain()
        await fleet.workers[name].start()
        await until(partial(listed, pool, name, fleet.workers[name].address))
    stop.set()
    await asyncio.gather(*talking)
    assert len(heard) == 20
    assert all(reply == list(range(1, 9)) for replies in heard.values() for reply in replies)


async def test_redis_goes_and_comes_back_and_no_session_notices(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    hearing = Hearing(pool, count(1, 24))
    await hearing.heard(0.5)
    await fleet.redis.stop()
    await until(lambda: not pool.registry_health()[0].connected)
    await asyncio.sleep(1.5 * LEASE)  # what must pass is time itself: longer than any lease lasts
    await pool.open_session("new", Voice())
    assert words(await hear(pool, count(1, 4), session="new")) == [1, 2, 3, 4]
    assert words(await hearing.all()) == list(range(1, 25))
    await fleet.redis.start()
    await until(lambda: pool.registry_health()[0].connected)
    newcomer = await fleet.pool(known=2)
    assert set(newcomer.fleet.members) == {"alpha", "beta"}
    assert set(pool.fleet.members) == {"alpha", "beta"}


async def test_a_worker_that_dies_while_redis_is_gone_is_passed_over(fleet: Fleet) -> None:
    await fleet.start("alpha", "beta")
    pool = await fleet.pool(known=2)
    await fleet.redis.stop()
    await fleet.workers["alpha"].kill()
    for number in range(4):
        assert words(await hear(pool, "1 2", session=f"s{number}")) == [1, 2]


async def test_workers_can_be_named_by_address_without_any_registry(fleet: Fleet) -> None:
    (alpha,) = await fleet.start("alpha")
    await fleet.redis.stop()
    pool = await fleet.pool(workers=(alpha.address,))
    assert words(await hear(pool, "1 2 3")) == [1, 2, 3]


async def test_the_key_to_the_workers_is_used(fleet: Fleet) -> None:
    (alpha,) = await fleet.start("alpha", api_key="open-sesame")
    pool = await fleet.pool(known=1, api_key="open-sesame")
    assert words(await hear(pool, "1 2 3")) == [1, 2, 3]
    stranger = await fleet.pool(known=1, api_key="wrong")
    with pytest.raises(Unauthorized):
        await hear(stranger, "1")
    assert alpha.process is not None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_hosts_that_know_each_other_by_certificate_talk_and_strangers_do_not(
    fleet: Fleet, tmp_path: Path
) -> None:
    for command in CERTIFICATES.strip().splitlines():
        await openssl(command, tmp_path)
    path = {name: str(tmp_path / name) for name in ("ca.pem", "worker.pem", "worker.key", "orchestrator.pem")}
    worker = {"tls_cert": path["worker.pem"], "tls_key": path["worker.key"], "tls_client_ca": path["ca.pem"]}
    await fleet.start("alpha", **worker)
    known = ClientTlsSettings(True, path["ca.pem"], path["orchestrator.pem"], str(tmp_path / "orchestrator.key"))
    pool = await fleet.pool(known=1, tls=known)
    assert words(await hear(pool, "1 2 3")) == [1, 2, 3]
    stranger = await fleet.pool(
        known=1, tls=ClientTlsSettings(True, path["ca.pem"]), failover=FailoverSettings(patience=0.1)
    )
    with pytest.raises(UnavailableError):
        await hear(stranger, "1")


CERTIFICATES = """
req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=w -addext subjectAltName=IP:127.0.0.1 -keyout worker.key -out worker.csr
x509 -req -in worker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out worker.pem
req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=o -keyout orchestrator.key -out orchestrator.csr
x509 -req -in orchestrator.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out orchestrator.pem
"""  # noqa: E501
"""As docs/how-to/scale-out.md tells it."""


async def openssl(arguments: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "openssl", *arguments.split(), cwd=folder, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
