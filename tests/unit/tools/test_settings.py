"""Tools from a settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parley.config import load_settings
from parley.errors import ConfigError
from parley.tools import create_tools

if TYPE_CHECKING:
    from pathlib import Path

HOW_TO = "docs/how-to/use-tools.md"


def test_the_how_to_s_settings_are_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    monkeypatch.setenv("BOOKING_TOKEN", "Bearer secret")
    page = (Path(__file__).parents[3] / HOW_TO).read_text(encoding="utf-8")
    yaml = page.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "orchestrator.yaml"
    file.write_text(yaml, encoding="utf-8")
    tools = create_tools(load_settings([file], environ={}).tools, script=False)
    assert tools is not None
    weather, book = tools.offered()
    assert (weather.name, weather.effect, weather.parameters["required"]) == ("weather", "read", ["city"])
    assert (book.name, book.effect, book.confirm, book.timeout) == ("book_table", "write", True, 20.0)


def test_the_how_to_s_mcp_servers_are_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    npx = tmp_path / "npx"
    npx.write_text("#!/bin/sh\n")
    npx.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOUSE_TOKEN", "Bearer secret")
    page = (Path(__file__).parents[3] / HOW_TO).read_text(encoding="utf-8")
    yaml = page.partition("## From MCP servers")[2].partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "orchestrator.yaml"
    file.write_text(yaml, encoding="utf-8")
    settings = load_settings([file], environ={}).tools
    assert create_tools(settings, script=False) is not None
    notes, house = settings.mcp
    assert (notes.command[0], notes.only, notes.tools["create_entities"].confirm) == (
        "npx", ("search_nodes", "create_entities"), True,
    )  # fmt: skip
    assert (house.url, house.contract.filler_after) == ("https://house.example/mcp", 0.8)


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("tools: {http: [{name: a}]}", "wrong at 0.description: Field required"),
        ("tools: {http: [{name: a, description: b, url: c, effect: both}]}", "wrong at 0.effect: Input should be"),
        ("tools: {mcp: [{command: [x]}]}", "wrong at 0.name: Field required"),
        ("tools: {builtin: perhaps}", "auto, on, off"),
    ],
)
def test_what_is_no_tool_is_refused_in_a_sentence(tmp_path: Path, yaml: str, told: str) -> None:
    file = tmp_path / "orchestrator.yaml"
    file.write_text(yaml, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_settings([file], environ={})


def test_a_tool_server_that_cannot_be_had_is_said_before_anything_is_started(tmp_path: Path) -> None:
    from parley.cli.compose import check_wanted

    file = tmp_path / "orchestrator.yaml"
    file.write_text("tools: {mcp: [{name: house, command: [no-such-program]}]}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the server house has the command \"no-such-program\", which is not found"):
        check_wanted(load_settings([file], environ={}))
    file.write_text("api: {realtime: {mcp_servers: ['http://here/mcp', 'here:80/mcp']}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'api\.realtime\.mcp_servers has "here:80/mcp", which is no http address'):
        check_wanted(load_settings([file], environ={}))
