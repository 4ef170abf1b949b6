"""A release is what its tag says, and its bill of materials is what the locks say."""

from __future__ import annotations

import json

import pytest
from tests.unit.deploy.scripts import ROOT, script

release, sbom = script("release"), script("sbom")
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- a\n\n## [0.1.0]\n\n- b\n"
SHA = "0" * 64
HASH = f"    --hash=sha256:{SHA}"
LOCK = f"one==1.0 ; sys_platform == 'linux' \\\n{HASH} \\\n{HASH}\nTwo_b==2.1 \\\n{HASH}\n"
PAGE = {
    "packages": {
        "": {"name": "page", "version": "1"},
        "node_modules/@a/b": {"version": "3.0.0", "integrity": "sha512-AAEC", "license": "MIT"},
        "node_modules/c/node_modules/d": {"version": "4.0.0"},
        "node_modules/tool": {"version": "5.0.0", "dev": True},
        "node_modules/own": {"resolved": "packages/own", "link": True},
    }
}


@pytest.mark.parametrize(
    ("tag", "project", "package", "words"),
    [
        ("v0.2.0", "0.2.0", "0.2.0", []),
        ("v0.2.0", "0.1.0", "0.2.0", ["pyproject.toml has version 0.1.0"]),
        ("v0.2.0", "0.2.0", "0.1.0", ["parley.__version__ is 0.1.0"]),
        ("v0.3.0", "0.3.0", "0.3.0", ["says nothing under [0.3.0]"]),
        ("0.2.0", "0.2.0", "0.2.0", ["The tag 0.2.0 is not"]),
    ],
)
def test_a_tag_that_disagrees_is_no_release(tag: str, project: str, package: str, words: list[str]) -> None:
    found = release.complaints(tag, project, package, CHANGELOG)
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


@pytest.mark.parametrize(("version", "said"), [("0.2.0", "### Added\n\n- a"), ("0.1.0", "- b"), ("Unreleased", "")])
def test_a_releases_page_says_what_the_changelog_says_of_it(version: str, said: str) -> None:
    assert release.notes(CHANGELOG, version) == said


def test_the_changelog_of_this_repository_is_one_that_can_be_read() -> None:
    assert release.notes((ROOT / "CHANGELOG.md").read_text("utf-8"), "Unreleased").startswith("### Added")


def test_every_pin_of_a_lock_is_a_component_with_its_hashes() -> None:
    one, two = sbom.python_components(LOCK, {"one"})
    assert (one["purl"], one["scope"], len(one["hashes"])) == ("pkg:pypi/one@1.0", "required", 2)
    assert one["properties"] == [{"name": "parley:marker", "value": "sys_platform == 'linux'"}]
    assert (two["purl"], two["scope"]) == ("pkg:pypi/two-b@2.1", "optional")


@pytest.mark.parametrize(("lock", "word"), [("one>=1\n", "one>=1"), ("one==1\n", "no hash for one")])
def test_a_lock_that_pins_nothing_is_refused(lock: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        sbom.python_components(lock, set())


def test_of_the_page_only_what_its_bundle_holds_is_a_component() -> None:
    first, second = sbom.page_components(PAGE)
    assert first["purl"] == "pkg:npm/%40a/b@3.0.0"
    assert first["hashes"] == [{"alg": "SHA-512", "content": "000102"}]
    assert second["purl"] == "pkg:npm/d@4.0.0"


def test_the_bill_of_this_repository_names_each_component_once_and_is_the_same_each_time() -> None:
    project = {"name": "parley-voice", "version": "0.1.0", "license": "MIT"}
    components = sbom.python_components((ROOT / "requirements.lock").read_text("utf-8"), {"numpy"})
    components += sbom.page_components(json.loads((ROOT / "web/package-lock.json").read_text("utf-8")))
    bill = sbom.bill(project, components)
    assert bill == sbom.bill(project, components)
    names = {each["name"] for each in bill["components"]}
    assert {"numpy", "livekit-client", "pytest"} <= names
    assert len({each["bom-ref"] for each in bill["components"]}) == len(bill["components"])
    (needs,) = bill["dependencies"]
    assert {ref.partition("@")[0] for ref in needs["dependsOn"]} >= {"pkg:pypi/numpy", "pkg:npm/livekit-client"}
    assert not [ref for ref in needs["dependsOn"] if "pytest" in ref]
