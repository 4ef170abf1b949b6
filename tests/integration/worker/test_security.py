"""Keys and certificates on the gRPC port."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

from parley.errors import ConfigError, Unauthorized, UnavailableError
from parley.testing.engines import EngineCatalog
from parley.worker.server import Worker
from parley.worker.settings import ModelSettings, WorkerSettings

pytestmark = pytest.mark.anyio
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Pair:
    cert: str
    key: str


class Authority:
    """Signs certificates for loopback."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._subject, self._key.public_key(), authority=True)
        self.path = self._write("ca.pem", self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), authority=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", private),
        )

    def _sign(self, subject: x509.Name, key: Any, *, authority: bool) -> x509.Certificate:
        loopback = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(hours=1))
            .not_valid_after(NOW + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(loopback), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> str:
        path = self._folder / f"{self._name}-{name}"
        path.write_bytes(data)
        return str(path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


async def test_calls_without_the_key_are_refused(bench: Any) -> None:
    worker = await bench.worker(api_key="secret")
    for wrong in ({}, {"api_key": "guess"}):
        client = bench.client(worker, **wrong)
        with pytest.raises(Unauthorized, match="authorization"):
            await client.worker.models()
        with pytest.raises(Unauthorized):
            await bench.speak(client, "Hello.")


async def test_with_the_key_everything_works(bench: Any) -> None:
    client = bench.client(await bench.worker(api_key="secret"), api_key="secret")
    assert (await bench.speak(client, "Hello."))[-1].final
    assert await client.worker.models()


async def test_health_needs_no_key(bench: Any) -> None:
    worker = await bench.worker(api_key="secret")
    async with grpc.aio.insecure_channel(worker.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_tls_speaks_to_those_who_trust_its_authority(bench: Any, authority: Authority) -> None:
    pair = authority.issue("worker")
    worker = await bench.worker(tls_cert=pair.cert, tls_key=pair.key)
    client = bench.client(worker, tls=True, ca=authority.path)
    assert (await bench.speak(client, "Hello."))[-1].final


async def test_tls_does_not_speak_plain_text(bench: Any, authority: Authority) -> None:
    pair = authority.issue("worker")
    client = bench.client(await bench.worker(tls_cert=pair.cert, tls_key=pair.key))
    with pytest.raises(UnavailableError):
        await client.worker.models()


async def test_a_certificate_of_another_authority_is_not_trusted(
    bench: Any, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("worker")
    worker = await bench.worker(tls_cert=pair.cert, tls_key=pair.key)
    client = bench.client(worker, tls=True, ca=Authority(tmp_path, "other").path)
    with pytest.raises(UnavailableError):
        await client.worker.models()


async def test_mutual_tls_lets_in_those_with_a_certificate(bench: Any, authority: Authority) -> None:
    pair, own = authority.issue("worker"), authority.issue("client")
    worker = await bench.worker(tls_cert=pair.cert, tls_key=pair.key, tls_client_ca=authority.path)
    stranger = bench.client(worker, tls=True, ca=authority.path)
    with pytest.raises(UnavailableError):
        await stranger.worker.models()
    client = bench.client(worker, tls=True, ca=authority.path, cert=own.cert, key=own.key)
    assert (await bench.speak(client, "Hello."))[-1].final


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"tls_cert": "no-such.pem", "tls_key": "no-such.key"}, "no-such"),
        ({"tls_cert": "no-such.pem"}, "tls_key"),
        ({"tls_client_ca": "no-such.pem"}, "tls_cert"),
    ],
)
async def test_a_certificate_that_is_missing_is_named(files: dict[str, str], named: str) -> None:
    settings = WorkerSettings(port=0, models=ModelSettings("tone"), **files)
    with pytest.raises(ConfigError, match=named):
        await Worker(settings, EngineCatalog()).start()


async def test_a_renewed_certificate_is_shown_to_whoever_connects_next_and_half_of_one_is_not(
    bench: Any, authority: Authority, tmp_path: Path
) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    used = Pair(str(tmp_path / "used.pem"), str(tmp_path / "used.key"))
    shutil.copy(first.cert, used.cert)
    shutil.copy(first.key, used.key)
    worker = await bench.worker(tls_cert=used.cert, tls_key=used.key)
    place = ("127.0.0.1", int(worker.address.rpartition(":")[2]))

    async def shown() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, place, timeout=5)

    assert await shown() == Path(first.cert).read_text()
    shutil.copy(second.cert, used.cert)  # its key comes later
    assert await shown() == Path(first.cert).read_text()
    shutil.copy(second.key, used.key)
    assert await shown() == Path(second.cert).read_text()
    client = bench.client(worker, tls=True, ca=authority.path)
    assert (await bench.speak(client, "Hello."))[-1].final
