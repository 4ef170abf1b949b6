"""Tools of MCP servers that the stock library makes, as programs and at addresses, in both revisions."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from parley.errors import ConfigError, InvalidRequest, RequestError, TimedOut, UnavailableError, Unreached
from parley.tools import McpContract, McpServer, Toolbox, ToolSettings, create_tools
from parley.tools.mcp.server import McpConnection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_tasks_left")]

HOUSE = Path(__file__).with_name("mcp_house.py")
ODD = Path(__file__).with_name("mcp_odd.py")
PROGRAM = (sys.executable, str(HOUSE), "stdio")
WAYS = ["stdio", "stdio-legacy", "http", "http-legacy"]


@contextlib.asynccontextmanager
async def served(port: int = 0) -> AsyncGenerator[tuple[str, asyncio.subprocess.Process]]:
    """The house at an address of its own."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HOUSE), str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp", process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def house(way: str = "stdio", **more: Any) -> AsyncGenerator[Toolbox]:
    """A toolbox with the house's tools."""
    async with contextlib.AsyncExitStack() as stack:
        if way.startswith("http"):
            url, _ = await stack.enter_async_context(served())
            where: dict[str, Any] = {"url": url}
        else:
            where = {"command": PROGRAM}
        modes = ("legacy", "legacy") if way.endswith("legacy") else ("auto", "legacy")
        box = Toolbox([], [McpConnection(McpServer("house", connect_timeout=20, **where, **more), modes=modes)])
        await box.start()
        try:
            yield box
        finally:
            await box.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_s_tools_are_offered_and_called(way: str) -> None:
    async with house(way) as box:
        told = {tool.name: tool for tool in box.offered()}
        assert await box.call("house_lamps", {}, key="1") == "The kitchen lamp is on."
        assert json.loads(await box.call("house_switch", {"lamp": "hall"}, key="2")) == {"hall": True}
        assert (await box.call("house_picture", {}, key="3")).startswith("The hall.\n(it answers with image")
        with pytest.raises(InvalidRequest, match=r"The tool failed: .*the bulb is loose"):
            await box.call("house_broken", {}, key="4")
        assert len(await box.call("house_long", {"size": 1_000_000}, key="5")) == 262_144
        with pytest.raises(UnavailableError, match=r"more than 4194304 bytes|gave no whole answer"):
            await box.call("house_long", {"size": 6_000_000}, key="6")
        assert await box.call("house_lamps", {}, key="7") == "The kitchen lamp is on."
    assert (told["house_lamps"].effect, told["house_lamps"].description) == ("read", "Which lamps are on.")
    assert (told["house_switch"].effect, told["house_switch"].confirm) == ("write", False)
    assert told["house_switch"].parameters["required"] == ["lamp"]
    assert (told["house_forget_everything"].effect, told["house_forget_everything"].confirm) == ("write", True)


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_nobody_wants_is_cancelled_at_the_server(way: str, tmp_path: Path) -> None:
    marker = tmp_path / "cancelled"
    async with house(way, tools={"slow": McpContract(timeout=0.5)}) as box:
        with pytest.raises(TimedOut, match=r"house_slow took longer than 0\.5 seconds|not done in time"):
            await box.call("house_slow", {"seconds": 60, "marker": str(marker)}, key="1")
        async with asyncio.timeout(10):
            while not marker.exists():
                await asyncio.sleep(0.02)
        assert await box.call("house_lamps", {}, key="2") == "The kitchen lamp is on."


@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_that_appears_is_offered(way: str) -> None:
    async with house(way) as box:
        await box.call("house_grow", {}, key="1")
        async with asyncio.timeout(15):
            while "house_garden" not in [tool.name for tool in box.offered()]:
                await asyncio.sleep(0.05)
        assert await box.call("house_garden", {}, key="2") == "Watered."


@pytest.mark.parametrize("way", ["stdio", "stdio-legacy"])
async def test_a_program_that_dies_is_started_again_and_that_is_said(way: str) -> None:
    async with house(way) as box:
        with structlog.testing.capture_logs() as logs:
            with pytest.raises(UnavailableError, match="gave no whole answer"):
                await box.call("house_die", {}, key="1")
            assert "house_die" in [tool.name for tool in box.offered()]
            await comes_back(box)
    (said,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert (said["event"], said["server"], said["reason"]) == (
        "a tool server is lost, trying again",
        "house",
        "it ended",
    )


@pytest.mark.parametrize(
    ("answer", "certain"),
    [
        ('{"error": {"code": -32602, "message": "no such lamp"}}', True),
        ('{"error": {"code": -32601, "message": "no such tool"}}', True),
        ('{"error": {"code": -32603, "message": "the fuse blew"}}', False),
        ('{"error": {"code": -32000, "message": "odd"}}', False),
        ('{"result": {"content": [{"type": "text"}]}}', False),
        ('{"result": {"content": [{"type": "text", "text": "%s"}]}}' % ("x" * 4_500_000), False),
        ("", False),
    ],
)
async def test_what_may_have_been_done_is_not_told_as_refused(answer: str, certain: bool, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(answer)
    command = (sys.executable, str(ODD), str(tmp_path / "answer"))
    box = Toolbox([], [McpConnection(McpServer("odd", command, connect_timeout=20), modes=("legacy", "legacy"))])
    await box.start()
    try:
        with pytest.raises((RequestError, UnavailableError)) as told:
            await box.call("odd_order", {}, key="1")
    finally:
        await box.aclose()
    assert isinstance(told.value, RequestError) is certain, told.value
    assert not isinstance(told.value, Unreached)
    assert (tmp_path / "answer.done").exists()


async def test_a_server_that_is_not_there_has_done_nothing() -> None:
    async with house() as box:
        with contextlib.suppress(UnavailableError):
            await box.call("house_die", {}, key="1")
        async with asyncio.timeout(10):
            while True:
                try:
                    await box.call("house_switch", {"lamp": "hall"}, key="again")
                except Unreached:
                    break
                except UnavailableError:
                    await asyncio.sleep(0.01)
                else:
                    pytest.skip("it was there again before anybody asked")


async def test_a_server_at_an_address_may_come_back_and_each_is_said_once() -> None:
    async with contextlib.AsyncExitStack() as stack:
        url, process = await stack.enter_async_context(served())
        box = Toolbox([], [McpConnection(McpServer("house", url=url))])
        await box.start()
        stack.push_async_callback(box.aclose)
        with structlog.testing.capture_logs() as logs:
            process.kill()
            await process.wait()
            with pytest.raises(UnavailableError, match="The tool server house"):
                await box.call("house_lamps", {}, key="1")
            await asyncio.sleep(2.0)  # some tries that fail
            await stack.enter_async_context(served(int(url.split(":")[2].split("/")[0])))
            await comes_back(box)
    said = [(entry["event"], entry.get("reason", "")) for entry in logs if entry["log_level"] != "debug"]
    assert said[-2:] == [
        ("a tool server is lost, trying again", "it can not be reached"),
        ("a tool server is there again", ""),
    ]
    assert len(said) == len(set(said))


async def test_a_program_and_what_it_has_started_end_with_the_toolbox() -> None:
    async with house() as box:
        pids = [int(pid) for pid in (await box.call("house_process", {}, key="1")).split()]
    assert [pid for pid in pids if lives(pid)] == []


async def test_a_program_and_what_it_has_started_end_with_parley_however_that_ends() -> None:
    script = (
        "import asyncio, sys\n"
        "from parley.tools import McpServer, ToolSettings, create_tools\n"
        "async def main():\n"
        "    house = McpServer('house', tuple(sys.argv[1:]), connect_timeout=20)\n"
        "    box = create_tools(ToolSettings(mcp=(house,)), script=False)\n"
        "    await box.start()\n"
        "    print(await box.call('house_process', {}, key='1'), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parley = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *PROGRAM, stdout=asyncio.subprocess.PIPE
    )
    assert parley.stdout is not None
    pids = [int(pid) for pid in (await parley.stdout.readline()).split()]
    assert len(pids) == 2
    parley.kill()
    await parley.wait()
    async with asyncio.timeout(10):
        while any(lives(pid) for pid in pids):
            await asyncio.sleep(0.05)


async def test_a_program_sees_what_it_is_given_and_no_secret_of_parley_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SERVER__API_KEY", "secret")
    monkeypatch.setenv("HOUSE_TOKEN", "given")
    async with house(env={"TOKEN": "$HOUSE_TOKEN"}) as box:
        seen = json.loads(await box.call("house_environment", {}, key="1"))
    assert (seen["TOKEN"], seen["PATH"]) == ("given", os.environ["PATH"])
    assert not [name for name in seen if name.startswith(("PARLEY", "HOUSE"))]


async def test_a_header_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "Bearer given")
    async with house("http", headers={"Authorization": "$HOUSE_TOKEN"}) as box:
        assert await box.call("house_header", {}, key="1") == "Bearer given"


async def test_only_what_is_wanted_is_offered_and_what_is_not_there_is_said() -> None:
    with structlog.testing.capture_logs() as logs:
        async with house(only=("lamps", "lights"), contract=McpContract(effect="write", confirm=True)) as box:
            (tool,) = box.offered()
    assert (tool.name, tool.effect, tool.confirm) == ("house_lamps", "write", True)
    assert ("a tool server has no such tool", ["lights"]) in [(entry["event"], entry.get("tools")) for entry in logs]


async def test_a_program_that_cannot_serve_is_told_with_its_own_last_words() -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no such house')")
    box = Toolbox([], [McpConnection(McpServer("house", command))])
    with structlog.testing.capture_logs() as logs:
        await box.start()
        assert box.offered() == ()
        await box.aclose()
    assert logs[0]["reason"] == "it ended with: no such house"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"command": ("no-such-program",)}, "no-such-program.*not found: install it, or write its full path"),
        ({"command": ()}, "needs either a command or a url"),
        ({"url": "http://127.0.0.1/mcp"}, "needs either a command or a url"),
        ({"command": (), "url": "ftp://x"}, "no http address"),
        ({"name": "my house"}, "cannot be called so"),
        ({"env": {"A": "$NOT_THERE_AT_ALL"}}, "NOT_THERE_AT_ALL, which is not set"),
        ({"tools": {"lamps": McpContract(timeout=0)}}, "its tool lamps a contract"),
        ({"contract": McpContract(effect="read", confirm=True)}, "its tools a contract"),
    ],
)
async def test_what_cannot_be_a_server_is_said_at_the_start(change: dict[str, Any], told: str) -> None:
    one = McpServer(**{"name": "house", "command": PROGRAM, **change})
    with pytest.raises(ConfigError, match=told):
        create_tools(ToolSettings(mcp=(one,)), script=False)


async def test_two_servers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match='two servers called "house"'):
        create_tools(ToolSettings(mcp=(McpServer("house", PROGRAM), McpServer("house", PROGRAM))), script=False)


async def test_a_conversation_s_loop_serves_as_well() -> None:
    script = (
        "import asyncio, sys, uvloop\n"
        "from parley.tools import McpServer, ToolSettings, create_tools\n"
        "async def main():\n"
        "    house = McpServer('house', tuple(sys.argv[1:]), connect_timeout=20)\n"
        "    box = create_tools(ToolSettings(mcp=(house,)), script=False)\n"
        "    await box.start()\n"
        "    print(await box.call('house_lamps', {}, key='1'))\n"
        "    await box.aclose()\n"
        "uvloop.run(main())\n"
    )
    parley = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", script, *PROGRAM,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await parley.communicate()
    assert said.decode() == "The kitchen lamp is on.\n"


async def comes_back(box: Toolbox) -> None:
    """Until its server answers again."""
    async with asyncio.timeout(20):
        for number in itertools.count():
            with contextlib.suppress(UnavailableError):
                assert await box.call("house_lamps", {}, key=f"again {number}") == "The kitchen lamp is on."
                return
            await asyncio.sleep(0.05)  # between two tries, within the time above


def lives(pid: int) -> bool:
    """Whether it runs: one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
