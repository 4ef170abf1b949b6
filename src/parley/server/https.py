"""A certificate of this machine's own, so that phones on the same network may use their microphone.

Browsers give a page the microphone only over HTTPS (or on localhost). Nobody vouches for this
certificate: the browser warns once, and its fingerprint can be compared. For a public name let
Caddy fetch a real one (examples/caddy).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parley.errors import ConfigError

CERTIFICATE = "certificate.pem"
PRIVATE_KEY = "key.pem"

_VALID_DAYS = 397  # browsers refuse certificates that are valid for longer
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """Where the files are, and what a person needs to know about them."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256, as browsers show it: pairs of hex digits between colons."""
    addresses: tuple[str, ...]
    """Addresses of this machine that other hosts may open."""


def local_certificate(folder: Path, *, now: dt.datetime | None = None) -> LocalCertificate:
    """The certificate in ``folder``, made anew when it is missing, nearly over, or this host's addresses changed.

    Raises ConfigError when the folder cannot be written.
    """
    now = now or dt.datetime.now(dt.UTC)
    names, addresses = host_names(), host_addresses()
    certificate, key = folder / CERTIFICATE, folder / PRIVATE_KEY
    known = _read(certificate) if key.is_file() else None
    if known is None or not _serves(known, names, addresses, now):
        known = _create(certificate, key, names, addresses, now)
    digest = known.fingerprint(hashes.SHA256()).hex(":").upper()
    outside = tuple(str(address) for address in addresses if not address.is_loopback)
    return LocalCertificate(certificate, key, digest, outside)


def host_names() -> list[str]:
    """Names under which this machine may be opened."""
    name = socket.gethostname().partition(".")[0].lower()
    names = ["localhost", *([name, f"{name}.local"] if name and name != "localhost" else [])]
    return [name for name in names if name.isascii()]


def host_addresses() -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Addresses of this machine, loopback included, link-local IPv6 left out."""
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = {
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    }
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.version == 6 and address.is_link_local):
                found.add(address)
    return sorted(found, key=lambda address: (address.version, address.packed))


def _read(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _serves(
    certificate: x509.Certificate,
    names: list[str],
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    now: dt.datetime,
) -> bool:
    """Whether a certificate is still good for this machine as it is now."""
    if certificate.not_valid_after_utc - now < dt.timedelta(days=_RENEW_DAYS) or certificate.not_valid_before_utc > now:
        return False
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(names) <= set(alternatives.get_values_for_type(x509.DNSName)) and set(addresses) <= set(
        alternatives.get_values_for_type(x509.IPAddress)
    )


def _create(
    certificate_path: Path,
    key_path: Path,
    names: list[str],
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    now: dt.datetime,
) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Parley on {names[-1]}"[:64])])
    alternatives = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        certificate_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_secret(
            key_path,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise ConfigError(
            f"The certificate cannot be kept in {certificate_path.parent}: {error.strerror or error}."
        ) from error
    return certificate


def _write_secret(path: Path, data: bytes) -> None:
    """Write a file that nobody else can read, not even for a moment."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
