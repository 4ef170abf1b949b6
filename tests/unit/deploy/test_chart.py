"""The chart: settings that there are, keys that stay secret, pods that drain, and what may reach what."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.scripts import ROOT, script

from parley.config import load_settings, tree

CHART = ROOT / "deploy/helm/parley"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
VARIABLES = {leaf.variable for leaf in tree().leaves()}
promql = script("promql")
rendered_here = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed")


def test_the_variables_of_the_templates_are_settings() -> None:
    texts = [path.read_text("utf-8") for path in (CHART / "templates").glob("*.yaml")]
    named = {name for text in texts for name in re.findall(r"name: (PARLEY_\w+)", text)}
    assert named
    assert named <= VARIABLES


def test_the_settings_that_values_name_are_settings() -> None:
    known = {leaf.path for leaf in tree().leaves()}
    for path in VALUES:
        content = yaml.safe_load(path.read_text("utf-8"))
        pools = (content.get("pools") or {}).values()
        named = [name for part in (content.get("orchestrator") or {}, *pools) for name in part.get("settings", ())]
        assert set(named) <= known, path.name


def test_the_expressions_that_pods_are_counted_by_can_be_answered() -> None:
    texts = [path.read_text("utf-8") for path in (CHART / "templates").glob("*.yaml")]
    expressions = [each for text in texts for each in re.findall(r"^ +query: (.+)$", text, re.MULTILINE)]
    assert len(expressions) == 3
    for expression in expressions:
        assert promql.complaints(re.sub(r"\{.*\}", "", expression)) == []  # namespace and pod are the cluster's labels


def test_the_chart_is_of_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == version[1]
    assert yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["images"]["tag"] == version[1]


# --- rendered, where helm is ------------------------------------------------------------------


def objects(path: Path, *more: str) -> list[dict[str, Any]]:
    words = ["helm", "template", "parley", str(CHART), "--kube-version", "1.31.0", "--values", str(path), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def pods(path: Path) -> list[dict[str, Any]]:
    return [each["spec"]["template"] for each in objects(path) if each["kind"] == "Deployment"]


def plain(container: dict[str, Any]) -> dict[str, str]:
    """Its variables, secrets and what the pod knows of itself as something that can be read."""
    kept = {"redis-url": "redis://:x@redis:6379/0"}
    found: dict[str, str] = {}
    for each in container["env"]:
        source = each.get("valueFrom", {})
        found[each["name"]] = each.get("value", kept.get(source.get("secretKeyRef", {}).get("key", ""), "something"))
    return found


@rendered_here
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_settings_of_every_pod_load(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = [
        pod["spec"] for pod in pods(path) if "redis" not in pod["metadata"]["labels"]["app.kubernetes.io/component"]
    ]
    assert ours
    for spec in ours:
        variables = {name: value for name, value in plain(spec["containers"][0]).items() if name.startswith("PARLEY_")}
        settings = load_settings(environ=variables, files=())
        drain = settings.worker.drain_ms / 1000 if "worker" in spec["containers"][0]["name"] else settings.server.drain
        assert spec["terminationGracePeriodSeconds"] >= drain + 20


@rendered_here
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_every_pod_is_unprivileged_and_no_variable_comes_from_a_service(path: Path) -> None:
    for pod in pods(path):
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["enableServiceLinks"] is False  # PARLEY_WORKER_PORT=tcp://... would be taken for a setting
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


@rendered_here
@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_only_http_is_given_an_address_and_secrets_stand_in_secrets(path: Path) -> None:
    found = objects(path)
    services = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "Service"}
    assert {spec["type"] for spec in services.values()} == {"ClusterIP"}
    assert all(not name.endswith("worker") for name in services)
    behind = next(each for each in found if each["kind"] == "Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert [each["backend"]["service"]["port"]["name"] for each in behind] == ["http"]
    values = yaml.safe_load(path.read_text("utf-8"))
    said = list((values.get("secrets") or {}).values())
    rest = yaml.safe_dump_all(each for each in found if each["kind"] != "Secret")
    assert [secret for secret in said if secret in rest] == []


@rendered_here
def test_a_pool_with_gpus_asks_for_them() -> None:
    large = next(path for path in VALUES if path.stem == "large")
    gpu = next(pod for pod in pods(large) if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "worker-gpu")
    assert gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in gpu["spec"]["tolerations"]


@rendered_here
def test_the_password_of_redis_reaches_its_address_whole() -> None:
    small = next(path for path in VALUES if path.stem == "small")
    secret = next(each for each in objects(small, "--set", "redis.password=a b+/@") if each["kind"] == "Secret")
    assert secret["stringData"]["redis-password"] == "a b+/@"
    assert secret["stringData"]["redis-url"].startswith("redis://:a%20b%2B%2F%40@")


@rendered_here
def test_without_a_key_between_hosts_nothing_is_installed() -> None:
    small = next(path for path in VALUES if path.stem == "small")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        objects(small, "--set", "secrets.workerKey=")
    assert "secrets.workerKey" in refused.value.stderr


@rendered_here
def test_workers_are_reached_by_orchestrators_and_monitoring_alone() -> None:
    small = next(path for path in VALUES if path.stem == "small")
    policies = {each["metadata"]["name"]: each["spec"] for each in objects(small) if each["kind"] == "NetworkPolicy"}
    worker = policies["parley-parley-worker"]
    assert worker["policyTypes"] == ["Ingress", "Egress"]
    reached = {rule["ports"][0]["port"]: rule["from"] for rule in worker["ingress"]}
    assert set(reached) == {"grpc", "metrics"}
    assert [list(each) for each in reached["grpc"]] == [["podSelector"]]
    redis = policies["parley-parley-redis"]
    assert redis["egress"] == []
    assert len(redis["ingress"][0]["from"]) == 2
