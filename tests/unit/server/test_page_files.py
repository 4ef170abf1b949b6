"""How the page's files are sent."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from parley.server.page_files import PageFiles
from parley.server.page_policy import page_policy

pytestmark = pytest.mark.anyio
SCRIPT = b"export const words = 'the same words again and again';\n" * 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Parley</title>")
    (tmp_path / "assets" / "index-abc.js").write_bytes(SCRIPT)
    return tmp_path


def client(folder: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(PageFiles(folder)), base_url="http://page")


async def test_a_script_is_sent_compressed_to_who_takes_that(folder: Path) -> None:
    async with client(folder) as http:
        answer = await http.get("/assets/index-abc.js")
        plain = await http.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(SCRIPT) / 10
    assert "javascript" in answer.headers["content-type"]
    assert "content-encoding" not in plain.headers
    assert answer.content == plain.content == SCRIPT
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


async def test_what_is_named_by_its_content_is_kept_and_the_page_itself_is_asked_for_again(folder: Path) -> None:
    async with client(folder) as http:
        script, page = await http.get("/assets/index-abc.js"), await http.get("/")
        again = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert "immutable" in script.headers["cache-control"]
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")


async def test_a_page_that_is_built_anew_meanwhile_is_sent_as_it_is_now(folder: Path) -> None:
    async with client(folder) as http:
        await http.get("/")
        (folder / "index.html").write_text("another")
        os.utime(folder / "index.html", (1, 1))
        answer = await http.get("/")
    assert answer.text == "another"


STYLED = "<!doctype html><style>p{color:red}</style>"


async def test_the_page_carries_the_policy_of_what_stands_in_it_compressed_plain_and_unchanged(folder: Path) -> None:
    (folder / "index.html").write_text(STYLED)
    async with client(folder) as http:
        packed = await http.get("/")
        plain = await http.get("/", headers={"Accept-Encoding": "identity"})
        again = await http.get("/", headers={"If-None-Match": packed.headers["etag"]})
        script = await http.get("/assets/index-abc.js")
    assert again.status_code == 304
    policies = [answer.headers["content-security-policy"] for answer in (packed, plain, again)]
    assert policies == [page_policy(STYLED)] * 3
    assert "content-security-policy" not in script.headers


async def test_a_page_that_is_built_anew_has_the_policy_of_what_stands_in_it_now(folder: Path) -> None:
    async with client(folder) as http:
        await http.get("/")
        (folder / "index.html").write_text(STYLED)
        os.utime(folder / "index.html", (1, 1))
        answer = await http.get("/")
    assert answer.headers["content-security-policy"] == page_policy(STYLED)
