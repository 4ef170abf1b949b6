"""What Parley is made with, as a CycloneDX 1.6 bill of materials, from the committed locks.

python scripts/sbom.py dist/parley-voice.cdx.json

Every distribution of requirements.lock with its version, hashes and marker: "required" where the wheel asks for it,
"optional" where one of its extras or a group of the repository does; and the packages of web/package-lock.json that
the built page contains. Nothing is asked of the network but which distributions are required, and that of uv alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK, PAGE_LOCK, PROJECT = ROOT / "requirements.lock", ROOT / "web/package-lock.json", ROOT / "pyproject.toml"
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\\n]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def python_components(lock: str, required: Set[str]) -> list[dict[str, Any]]:
    """One for each version in a lock with hashes; raises ValueError for a line that is no pin with a hash."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if entry := _ENTRY.match(line):
            found.append(_distribution(entry, required))
        elif (digest := _HASH.search(line)) and found:
            found[-1]["hashes"].append({"alg": "SHA-256", "content": digest[1]})
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"requirements.lock holds a line that pins nothing: {line.strip()}. Run `just lock`.")
    bare = [each["name"] for each in found if not each["hashes"]]
    if bare:
        raise ValueError(f"requirements.lock has no hash for {', '.join(bare)}. Run `just lock`.")
    return found


def _distribution(entry: re.Match[str], required: Set[str]) -> dict[str, Any]:
    name, version, marker = entry["name"], entry["version"], entry["marker"]
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "scope": "required" if name in required else "optional",
        "hashes": [],
    }
    if marker:
        component["properties"] = [{"name": "parley:marker", "value": marker}]
    return component


def page_components(lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the page's bundle is built of; tools that only build or test it are left out."""
    found = []
    for path, package in lock["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if "node_modules/" not in path or package.get("dev") or package.get("link") or "version" not in package:
            continue
        purl = f"pkg:npm/{name.replace('@', '%40', 1)}@{package['version']}"
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": package["version"],
            "purl": purl,
            "scope": "required",
            "hashes": [_integrity(each) for each in package.get("integrity", "").split()],
        }
        if licence := package.get("license"):
            component["licenses"] = [{"expression": licence}]
        found.append(component)
    return found


def _integrity(text: str) -> dict[str, str]:
    """``sha512-BASE64`` as CycloneDX writes it."""
    algorithm, _, digest = text.partition("-")
    return {"alg": _ALGORITHMS[algorithm], "content": base64.b64decode(digest).hex()}


def bill(project: Mapping[str, Any], components: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole document; the same locks make the same one, its serial number, too."""
    parley = f"pkg:pypi/{project['name']}@{project['version']}"
    distinct = {each["bom-ref"]: each for each in components}
    content = json.dumps(distinct, sort_keys=True)
    needed = sorted(ref for ref, each in distinct.items() if each["scope"] == "required")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, parley + content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": parley,
                "name": project["name"],
                "version": project["version"],
                "purl": parley,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": [distinct[ref] for ref in sorted(distinct)],
        "dependencies": [{"ref": parley, "dependsOn": needed}],
    }


def required_names() -> set[str]:
    """The distributions that the wheel brings with it, without extras and groups, on any platform."""
    words = ("uv", "export", "--quiet", "--no-default-groups", "--no-emit-project", "--no-hashes", "--no-annotate")
    text = subprocess.run([*words, "--no-header"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line.partition("==")[0] for line in text.splitlines() if "==" in line}


def main() -> int:
    """Write it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    wanted = parser.parse_args()
    try:
        components = python_components(LOCK.read_text("utf-8"), required_names())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    components += page_components(json.loads(PAGE_LOCK.read_text("utf-8")))
    document = bill(tomllib.loads(PROJECT.read_text("utf-8"))["project"], components)
    wanted.file.parent.mkdir(parents=True, exist_ok=True)
    wanted.file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    needed = len(document["dependencies"][0]["dependsOn"])
    print(f"{wanted.file}: {len(document['components'])} components, {needed} of them required")
    return 0


if __name__ == "__main__":
    sys.exit(main())
