"""Images and Compose: pinned, bounded, unprivileged, with settings that there are and ports that may be seen."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
import yaml
from tests.unit.deploy.composed import MissingVariable, Stage, composed, env_file, interpolated, names_in, stages
from tests.unit.deploy.scripts import ROOT

from parley.cli import load_command
from parley.config import Settings, load_settings, tree
from parley.environments.groups import GROUPS
from parley.observability.turn_traces import Story

COMPOSE = ROOT / "deploy/compose/compose.yaml"
EXAMPLE = ROOT / "deploy/compose/.env.example"
DOCKERFILES = sorted((ROOT / "deploy/docker").glob("*.Dockerfile"))
PUBLISHED = {
    "caddy": {"80:80", "443:443", "8444:8444"},
    "coturn": {"3478:3478/udp"},
    "livekit": {"7881:7881/tcp", "7882:7882/udp"},
    "grafana": {"127.0.0.1:3000:3000"},
}
"""Whatever else a service listens on is reached from inside alone."""
DOCKERS = "/var/lib/docker/containers"
"""Where Docker keeps the containers' lines on its host."""
OURS = ("orchestrator", "worker", "worker-csm", "worker-parler")
VARIABLES = {leaf.variable for leaf in tree().leaves()}


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Those that prepare.sh writes."""
    folder = tmp_path_factory.mktemp("compose")
    subprocess.run(["sh", str(ROOT / "deploy/compose/prepare.sh"), str(folder)], check=True, capture_output=True)
    return env_file(folder / ".env")


@pytest.fixture(scope="module")
def services(variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = composed(COMPOSE, variables)["services"]
    return found


def final(path: Path) -> Stage:
    return stages(path)[1][-1]


# --- interpolation, as the tests do it --------------------------------------------------------


def test_texts_are_interpolated_as_docker_does_it() -> None:
    assert interpolated("a ${X}, ${Y:-none}, ${E:-empty}, $$X", {"X": "1", "E": ""}) == "a 1, none, empty, $X"
    with pytest.raises(MissingVariable, match="X: run this"):
        interpolated("${X:?run this}", {"X": ""})


# --- Compose ----------------------------------------------------------------------------------


def test_without_passwords_nothing_starts() -> None:
    with pytest.raises(MissingVariable, match=r"prepare\.sh"):
        composed(COMPOSE, {})


def test_prepared_passwords_are_long_and_differ_and_stay(tmp_path: Path) -> None:
    prepare = ["sh", str(ROOT / "deploy/compose/prepare.sh"), str(tmp_path)]
    subprocess.run(prepare, check=True, capture_output=True)
    first = (tmp_path / ".env").read_text("utf-8")
    secrets = re.findall(r"=([0-9a-f]{48})$", first, re.MULTILINE)
    assert len(secrets) == len(set(secrets)) == EXAMPLE.read_text("utf-8").count("=CHANGE-ME")
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    subprocess.run(prepare, check=True, capture_output=True)
    assert (tmp_path / ".env").read_text("utf-8") == first


def test_the_example_names_what_compose_asks_for_and_nothing_else() -> None:
    asked = names_in(COMPOSE.read_text("utf-8"))
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert named <= asked
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text("utf-8")))
    assert needed <= named


def test_what_the_example_names_does_not_confuse_parley_itself(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commented = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    load_settings(environ={**variables, **commented}, files=())


def test_only_what_people_need_is_published(services: dict[str, dict[str, Any]]) -> None:
    assert {name: set(each["ports"]) for name, each in services.items() if "ports" in each} == PUBLISHED
    assert not [name for name, each in services.items() if each.get("network_mode") or each.get("privileged")]


def test_redis_and_workers_are_in_no_network_that_leads_out(services: dict[str, dict[str, Any]]) -> None:
    networks = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]
    assert networks["inside"]["internal"] is True
    for name in ("redis", "worker", "worker-csm", "worker-parler", "prometheus", "tempo", "loki", "alloy"):
        assert list(services[name]["networks"]) == ["inside"], name


def test_who_comes_through_caddy_is_believed_and_caddy_has_one_way_in(services: dict[str, dict[str, Any]]) -> None:
    networks = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]
    shared = set(services["caddy"]["networks"]) & set(services["orchestrator"]["networks"])
    assert shared == {"front"}
    trusted = services["orchestrator"]["environment"]["PARLEY_SERVER__TRUSTED_PROXIES"]
    assert trusted == networks["front"]["ipam"]["config"][0]["subnet"]


def test_the_relay_reaches_orchestrators_alone(services: dict[str, dict[str, Any]]) -> None:
    networks = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]
    assert {name for name, each in services.items() if "media" in each.get("networks", ())} == {
        "coturn",
        "orchestrator",
    }
    subnet = networks["media"]["ipam"]["config"][0]["subnet"].removesuffix("0/24")
    options = services["coturn"]["command"]
    assert "--denied-peer-ip=0.0.0.0-255.255.255.255" in options
    assert [each for each in options if each.startswith("--allowed-peer-ip")] == [
        f"--allowed-peer-ip={subnet}2-{subnet}254"  # not the host, which is .1
    ]


def test_browsers_and_orchestrator_know_the_relay_by_one_name(
    services: dict[str, dict[str, Any]], variables: dict[str, str]
) -> None:
    asked = services["orchestrator"]["environment"]
    host = variables["PARLEY_HOST"]
    assert asked["PARLEY_WEBRTC__ICE_SERVERS"] == f"turn:{host}:3478?transport=udp"
    assert services["coturn"]["networks"]["media"]["aliases"] == [host]
    assert f"--user=parley:{asked['PARLEY_WEBRTC__TURN_PASSWORD']}" in services["coturn"]["command"]


def test_every_service_is_bounded(services: dict[str, dict[str, Any]]) -> None:
    loose = {
        name
        for name, each in services.items()
        if not (
            each.get("read_only")
            and each.get("cap_drop") == ["ALL"]
            and each.get("security_opt") == ["no-new-privileges:true"]
        )
    }
    assert loose == {"gpu-metrics"}  # NVIDIA's exporter asks the driver for more


def test_every_image_of_others_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    images = [each["image"] for each in services.values() if not each["image"].startswith("parley-")]
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+[\w.-]*$", image)] == []


def test_what_services_refer_to_is_there(services: dict[str, dict[str, Any]]) -> None:
    content = yaml.safe_load(COMPOSE.read_text("utf-8"))
    built = {each["image"] for each in services.values() if "build" in each}
    for name, each in services.items():
        assert set(each.get("depends_on", ())) <= set(services), name
        assert set(each.get("networks", ())) <= set(content["networks"]), name
        assert each["image"] in built or not each["image"].startswith("parley-"), name
        for volume in each.get("volumes", ()):
            source = volume.split(":")[0]
            there = source in content["volumes"] or source == DOCKERS or (COMPOSE.parent / source).exists()
            assert there, volume
        if "build" in each:
            assert (COMPOSE.parent / each["build"]["context"] / each["build"]["dockerfile"]).is_file()


def test_the_file_in_the_root_brings_this_one() -> None:
    assert yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["include"] == [str(COMPOSE.relative_to(ROOT))]


def settings_of(service: dict[str, Any]) -> Settings:
    """What a process of this service would read."""
    image = final(COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).env()
    return load_settings(environ={**image, **service["environment"]}, files=())


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_our_services_are_settings_and_load(
    services: dict[str, dict[str, Any]], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = {key for key in services[name]["environment"] if key.startswith("PARLEY_")}
    assert ours <= VARIABLES
    assert settings_of(services[name]).log.format == "json"


def test_orchestrator_and_workers_agree(services: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    asks = settings_of(services["orchestrator"])
    for name in OURS[1:]:
        speaks = settings_of(services[name])
        assert speaks.worker.api_key == asks.routing.api_key != ""
        assert speaks.registry.url == asks.registry.url != ""


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_nobody_is_killed_who_still_drains(
    services: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asks = settings_of(services["orchestrator"])
    assert seconds(services["orchestrator"]["stop_grace_period"]) > max(asks.server.drain, asks.livekit.drain) + 10
    for name in OURS[1:]:
        drain = settings_of(services[name]).worker.drain_ms / 1000
        assert seconds(services[name]["stop_grace_period"]) > drain + 10, name


def test_prometheus_asks_where_figures_are(services: dict[str, dict[str, Any]]) -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    asked = {name: each["port"] for job in jobs for each in job["dns_sd_configs"] for name in each["names"]}
    ports = {name: 8080 if name == "orchestrator" else 9101 for name in OURS} | {"gpu-metrics": 9400}
    assert asked == ports
    for name in OURS[1:]:
        image = final(COMPOSE.parent / services[name]["build"]["context"] / services[name]["build"]["dockerfile"])
        assert image.env()["PARLEY_WORKER__METRICS_PORT"] == "9101"


def test_grafana_finds_its_boards_and_prometheus(services: dict[str, dict[str, Any]]) -> None:
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana" / Path(home).name).is_file()
    provided = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/parley.yaml").read_text("utf-8"))
    assert provided["providers"][0]["options"]["path"] == str(Path(home).parent)
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"


def test_traces_go_where_tempo_takes_them_and_are_kept_on_its_volume(
    services: dict[str, dict[str, Any]], variables: dict[str, str]
) -> None:
    tempo = yaml.safe_load((ROOT / "deploy/tempo/tempo.yaml").read_text("utf-8"))
    (example,) = re.findall(r"^# PARLEY_TRACES__ENDPOINT=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    taken = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert example == f"http://tempo:{taken.rpartition(':')[2]}"
    told = composed(COMPOSE, {**variables, "PARLEY_TRACES__ENDPOINT": example})["services"]
    assert {name for name, each in told.items() if example in each.get("environment", {}).values()} == set(OURS)
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/tempo.yaml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == f"http://tempo:{tempo['server']['http_listen_port']}"
    (kept,) = [volume.split(":")[1] for volume in services["tempo"]["volumes"] if volume.startswith("tempo:")]
    stored = tempo["storage"]["trace"]
    assert all(each["path"].startswith(f"{kept}/") for each in (stored["wal"], stored["local"]))
    assert "ports" not in services["tempo"]


def test_lines_go_to_loki_and_are_kept_on_its_volume_as_long_as_traces(services: dict[str, dict[str, Any]]) -> None:
    loki = yaml.safe_load((ROOT / "deploy/loki/loki.yaml").read_text("utf-8"))
    port = loki["server"]["http_listen_port"]
    pushed = re.findall(r'url = "(.+)"', (ROOT / "deploy/alloy/config.alloy").read_text("utf-8"))
    assert pushed == [f"http://loki:{port}/loki/api/v1/push"]
    (kept,) = [volume.split(":")[1] for volume in services["loki"]["volumes"] if volume.startswith("loki:")]
    paths = [*loki["common"]["storage"]["filesystem"].values(), loki["compactor"]["working_directory"]]
    assert all(path.startswith(f"{kept}/") for path in paths)
    tempo = yaml.safe_load((ROOT / "deploy/tempo/tempo.yaml").read_text("utf-8"))
    assert loki["compactor"]["retention_enabled"] is True
    assert loki["limits_config"]["retention_period"] == tempo["compactor"]["compaction"]["block_retention"]


def test_alloy_reads_docker_s_files_alone_and_knows_containers_by_the_name_that_compose_has_them_note(
    services: dict[str, dict[str, Any]],
) -> None:
    config = (ROOT / "deploy/alloy/config.alloy").read_text("utf-8")
    assert config.count("{") == config.count("}")
    mounted = {volume.rsplit(":", 2)[-2]: volume for volume in services["alloy"]["volumes"] if volume.endswith(":ro")}
    assert set(mounted) == {"/etc/alloy/config.alloy", "/containers"}
    assert re.findall(r'__path__ = "(/\w+)/', config) == ["/containers"]
    assert services["alloy"]["command"][-1] == "/etc/alloy/config.alloy"
    assert "attrs.tag" in config
    tagged = [name for name, each in services.items() if each.get("logging", {}).get("options", {}).get("tag")]
    assert set(OURS) <= set(tagged)
    assert not [volume for each in services.values() for volume in each.get("volumes", ()) if "docker.sock" in volume]


def test_a_line_leads_to_its_session_s_traces_and_a_trace_to_its_lines() -> None:
    folder = ROOT / "deploy/grafana/provisioning/datasources"
    sources = {path.stem: yaml.safe_load(path.read_text("utf-8"))["datasources"][0] for path in folder.glob("*.yaml")}
    (field,) = sources["loki"]["jsonData"]["derivedFields"]
    line = structlog.processors.JSONRenderer()(None, "info", {"session_id": "0a1b2c-_", "event": "said"})
    assert re.findall(field["matcherRegex"], str(line)) == ["0a1b2c-_"]
    assert "bind_contextvars(session_id=" in (ROOT / "src/parley/server/sessions.py").read_text("utf-8")
    assert field["datasourceUid"] == sources["tempo"]["uid"]
    back = sources["tempo"]["jsonData"]["tracesToLogsV2"]
    assert back["datasourceUid"] == sources["loki"]["uid"]
    attribute = "parley.session"
    assert f"span.{attribute} =" in field["url"]
    assert f'tags["{attribute}"]' in back["query"]
    assert attribute in Story("0a1b2c3d4e5f", 1).attributes()
    assert "session_id = " in (ROOT / "deploy/alloy/config.alloy").read_text("utf-8")
    assert "session_id=" in back["query"]


# --- Dockerfiles ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_is_pinned_unprivileged_and_says_how_it_is(path: Path) -> None:
    arguments, found = stages(path)
    for stage in found:
        base = interpolated(stage.base, arguments)
        assert re.search(r":\d+\.\d+(\.\d+)?-", base), base
    last = found[-1]
    assert last.all("USER") == ["10001:10001"]
    assert "health.py" in last.all("HEALTHCHECK")[0]
    assert last.all("STOPSIGNAL") == ["SIGTERM"]
    assert not [step for step in last.all("RUN") if "pip" in step]  # what builds stays behind


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_images_variables_are_settings_that_load(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = {name: value for name, value in final(path).env().items() if name.startswith("PARLEY_")}
    assert set(ours) <= VARIABLES
    load_settings(environ=ours, files=())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_images_command_is_one_of_parleys(path: Path) -> None:
    last = final(path)
    words = json.loads(last.all("ENTRYPOINT")[0])[1:] + json.loads(last.all("CMD")[0])
    command: Any = load_command(words[0])
    command.parse_args(typer.Context(command, info_name=words[0]), words[1:])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_what_an_image_takes_from_here_is_here_and_not_ignored(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for stage in stages(path)[1]:
        for step in stage.all("COPY"):
            if step.startswith("--from="):
                assert step.split()[0].removeprefix("--from=") in {each.name for each in stages(path)[1]}
                continue
            for source in step.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert {source, source.split("/")[0]} & allowed, source


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_images_extras_are_parleys(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    build = next(stage for stage in stages(path)[1] if stage.name == "build")
    extras = next(each for each in build.all("ARG") if each.startswith("EXTRAS=")).removeprefix("EXTRAS=").split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_all_images_are_built_with_one_uv() -> None:
    said = {each for path in DOCKERFILES for stage in stages(path)[1] for each in stage.all("ARG") if "UV=" in each}
    assert len(said) == 1


def cuda_of(group: str) -> str:
    """The version of CUDA's libraries in a group's list, such as 13.0."""
    text = (ROOT / f"src/parley/environments/lists/{group}.txt").read_text("utf-8")
    found = re.search(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+\.\d+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_gpu_images_base_fits_the_torch_of_its_group(services: dict[str, dict[str, Any]]) -> None:
    said = (ROOT / "deploy/docker/worker-gpu.Dockerfile").read_text("utf-8")
    table = re.findall(r"^#   (\w+) +.*?(\d+\.\d+) +(\d+\.\d+\.\d+) +\d+ or newer$", said, re.MULTILINE)
    assert {group for group, _, _ in table} == set(GROUPS)
    assert {group: cuda for group, cuda, _ in table} == {group: cuda_of(group) for group in GROUPS}
    bases = {group: base for group, _, base in table}
    for group, base in bases.items():
        assert base.split(".")[0] == cuda_of(group).split(".")[0]
    for name in OURS[2:]:
        arguments = services[name]["build"]["args"]
        assert arguments["CUDA"] == bases[arguments["GROUP"]]
