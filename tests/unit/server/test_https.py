"""The machine's own certificate: made once, renewed in time, private."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from parley.errors import ConfigError
from parley.server import https

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_a_certificate_is_made_once_and_then_kept(tmp_path: Path) -> None:
    first = https.local_certificate(tmp_path, now=NOW)
    second = https.local_certificate(tmp_path, now=NOW + dt.timedelta(days=300))
    assert first == second
    assert len(first.fingerprint) == 32 * 3 - 1


def test_it_is_renewed_before_it_is_over(tmp_path: Path) -> None:
    first = https.local_certificate(tmp_path, now=NOW)
    second = https.local_certificate(tmp_path, now=NOW + dt.timedelta(days=380))
    assert first.fingerprint != second.fingerprint


def test_it_is_made_anew_when_the_host_has_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = https.local_certificate(tmp_path, now=NOW)
    monkeypatch.setattr(https, "host_names", lambda: ["localhost", "elsewhere"])
    assert https.local_certificate(tmp_path, now=NOW).fingerprint != first.fingerprint


def test_it_names_this_host_and_is_short_lived_enough_for_browsers(tmp_path: Path) -> None:
    made = https.local_certificate(tmp_path, now=NOW)
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in map(str, names.get_values_for_type(x509.IPAddress))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= dt.timedelta(days=398)
    assert "127.0.0.1" not in made.addresses


def test_the_key_is_readable_by_its_owner_only_and_loads(tmp_path: Path) -> None:
    made = https.local_certificate(tmp_path)
    assert made.key.stat().st_mode & 0o077 == 0
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept"):
        https.local_certificate(tmp_path / "file" / "https")
