"""The tools of a server: nothing is done twice under one key, and nobody waits for what cannot be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from parley.errors import ConfigError, NotFound, TimedOut
from parley.testing.virtual_time import run_virtual
from parley.tools import Tool, Toolbox, ToolSettings, create_tools
from parley.values import ToolInfo


def tool_of(work: Callable[[], Awaitable[str]], name: str = "one", **contract: Any) -> Tool:
    async def run(arguments: Mapping[str, Any], key: str) -> str:
        return await work()

    return Tool(ToolInfo(name, "", **contract), run)


class Work:
    """Takes a second; ``stubborn`` work does not let itself be cancelled."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.begun = self.done = 0
        self._stubborn = stubborn

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            if not self._stubborn:
                raise
            await asyncio.sleep(3.0)
        self.done += 1
        return f"{self.done}"


def test_the_same_call_is_made_once_whoever_asks_again() -> None:
    async def twice() -> list[str]:
        work = Work()
        box = Toolbox([tool_of(work)])
        first = await asyncio.gather(box.call("one", {}, key="k"), box.call("one", {}, key="k"))
        later = await box.call("one", {}, key="k")
        assert work.begun == 1
        return [*first, later, await box.call("one", {}, key="other")]

    assert run_virtual(twice()) == ["1", "1", "1", "2"]


def test_what_is_remembered_is_bounded() -> None:
    async def long() -> str:
        return "x" * 1_000_000

    async def many() -> tuple[int, int]:
        box = Toolbox([tool_of(long)])
        lengths = [len(await box.call("one", {}, key=str(number))) for number in range(300)]
        return max(lengths), len(box._calls)

    assert run_virtual(many()) == (262_144, 128)


@pytest.mark.parametrize(("effect", "done"), [("read", 0), ("write", 1)])
def test_whoever_leaves_cancels_what_reads_and_not_what_writes(effect: str, done: int) -> None:
    async def leave() -> int:
        work = Work()
        box = Toolbox([tool_of(work, effect=effect)])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await box.call("one", {}, key="k")
        await asyncio.sleep(2.0)
        return work.done

    assert run_virtual(leave()) == done


def test_what_hangs_is_given_up_in_time() -> None:
    async def wait() -> None:
        box = Toolbox([tool_of(Work(), timeout=0.5)])
        with pytest.raises(TimedOut, match=r"longer than 0\.5 seconds"):
            await box.call("one", {}, key="k")

    run_virtual(wait())


def test_what_cannot_be_cancelled_keeps_nobody_waiting() -> None:
    async def wait() -> float:
        box = Toolbox([tool_of(Work(stubborn=True), effect="read")])
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await box.call("one", {}, key="k")
        left = loop.time()
        await box.aclose()
        return left

    assert run_virtual(wait()) == 0.5


def test_a_server_that_stops_lets_what_writes_come_to_its_end() -> None:
    async def stop() -> int:
        work = Work()
        box = Toolbox([tool_of(work)])
        call = asyncio.create_task(box.call("one", {}, key="k"))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await box.aclose()
        return work.done

    assert run_virtual(stop()) == 1


def test_unknown_tools_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match='two tools called "one"'):
        Toolbox([tool_of(Work()), tool_of(Work())])

    async def unknown() -> None:
        with pytest.raises(NotFound):
            await Toolbox([]).call("none", {}, key="k")

    run_virtual(unknown())


@pytest.mark.parametrize(
    ("builtin", "script", "names"),
    [("auto", True, ["time", "timer"]), ("auto", False, []), ("on", False, ["time", "timer"]), ("off", True, [])],
)
def test_the_script_is_offered_two_tools_and_other_models_none_unasked(
    builtin: str, script: bool, names: list[str]
) -> None:
    tools = create_tools(ToolSettings(builtin=builtin), script=script)
    assert [tool.name for tool in tools.offered()] == names if tools else names == []


def test_the_built_in_ones_do_what_they_say() -> None:
    async def both() -> tuple[str, str, float]:
        tools = create_tools(ToolSettings(builtin="on"), script=False)
        assert tools is not None
        told = await tools.call("time", {}, key="a")
        over = await tools.call("timer", {"seconds": 90}, key="b")
        return told, over, asyncio.get_running_loop().time()

    told, over, at = run_virtual(both())
    assert told[4] == told[7] == "-"
    assert (over, at) == ("The timer of 90 seconds is over: tell the participant now.", 90.0)


class Source:
    """Tools that come and go."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def tools(self) -> list[Tool]:
        return [tool_of(lambda name=name: answer(f"{id(self)}"), name) for name in self.names]

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...


async def answer(text: str) -> str:
    return text


def test_tools_come_and_go_and_no_two_have_one_name() -> None:
    async def scene() -> None:
        first, second = Source("one", "two"), Source("two", "x" * 64, "three")
        box = Toolbox([tool_of(lambda: answer("mine"), "one")], [first, second])
        assert [tool.name for tool in box.offered()] == ["one", "one_2", "two", "two_2", "x" * 64, "three"]
        assert await box.call("one", {}, key="1") == "mine"
        assert await box.call("one_2", {}, key="2") == f"{id(first)}"
        assert await box.call("two_2", {}, key="3") == f"{id(second)}"
        first.names = ()
        assert [tool.name for tool in box.offered()] == ["one", "two", "x" * 64, "three"]
        with pytest.raises(NotFound, match='no tool "one_2"'):
            await box.call("one_2", {}, key="4")

    run_virtual(scene())
