"""What the page may load and run."""

from __future__ import annotations

import base64
import hashlib

import pytest

from parley.server.page_policy import page_policy


def allowed(policy: str, kind: str) -> list[str]:
    """The sources of one directive."""
    return next(each for each in policy.split("; ") if each.startswith(f"{kind} ")).split()[1:]


def digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def test_a_page_with_nothing_inline_may_load_files_of_its_own_server_alone() -> None:
    policy = page_policy('<script type="module" src="a.js"></script><link rel="stylesheet" href="a.css">')
    assert policy == page_policy()
    assert allowed(policy, "style-src") == ["'self'"]
    assert allowed(policy, "script-src") == ["'self'", "blob:"]


@pytest.mark.parametrize("content", ["a{b:c}", "\n  a { content: '<b>' }\n", "a{content:'ü'}"])
def test_what_stands_in_the_page_is_allowed_by_the_hash_of_every_byte_of_it(content: str) -> None:
    assert allowed(page_policy(f"<style>{content}</style>"), "style-src") == ["'self'", digest(content)]
    assert allowed(page_policy(f"<script>{content}</script>"), "script-src")[2:] == [digest(content)]


def test_each_of_several_is_allowed_and_no_other() -> None:
    policy = page_policy("<style>a</style><script>b</script><p><style>c</style>")
    assert allowed(policy, "style-src")[1:] == [digest("a"), digest("c")]
    assert allowed(policy, "script-src")[2:] == [digest("b")]
    assert "unsafe" not in policy
