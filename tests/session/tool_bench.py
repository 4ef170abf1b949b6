"""Tools that note what is done with them, and a model that asks for them as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parley import clock
from parley.tools import Tool, Toolbox
from parley.values import ChatMessage, Deadlines, ReplyPart, ToolCall, ToolInfo

OBJECT = {"type": "object", "properties": {"what": {"type": "string"}}}


@dataclass
class Done:
    """One call as the tool saw it."""

    name: str
    key: str
    arguments: Mapping[str, Any]
    at: float
    end: str = "runs"
    """runs, done, cut, or failed."""
    answer: str = ""
    """What the tool said, once it is done."""
    took: float = 0.0


@dataclass
class Bench:
    """Tools of every kind. ``takes`` and ``says`` are theirs, and can be changed at any time."""

    takes: dict[str, float] = field(default_factory=dict)
    says: dict[str, Callable[[], str]] = field(default_factory=dict)
    contracts: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Done] = field(default_factory=list)
    on_call: Callable[[Done], None] = lambda _: None

    def box(self) -> Toolbox:
        kinds: dict[str, dict[str, Any]] = {
            "look": {"effect": "read"},
            "search": {"effect": "read", "interruption": "finish"},
            "book": {},
            "pay": {"confirm": True},
            "timer": {"effect": "read", "interruption": "finish", "background": True, "timeout": 60},
            "ship": {"background": True},
        }
        infos = [ToolInfo(name, "", OBJECT, **(kinds[name] | self.contracts.get(name, {}))) for name in kinds]
        return Toolbox([Tool(info, self._run(info.name)) for info in infos])

    def of(self, name: str) -> list[Done]:
        return [call for call in self.calls if call.name == name]

    def _run(self, name: str) -> Callable[[Mapping[str, Any], str], Any]:
        async def run(arguments: Mapping[str, Any], key: str) -> str:
            call = Done(name, key, arguments, clock.now())
            self.calls.append(call)
            self.on_call(call)
            try:
                await asyncio.sleep(self.takes.get(name, 0.3))
                call.answer = answer = self.says.get(name, lambda: f"{name} says {key}.")()
            except asyncio.CancelledError:
                call.end = "cut"
                raise
            except BaseException:
                call.end = "failed"
                raise
            finally:
                call.took = clock.now() - call.at
            call.end = "done"
            return answer

        return run


def ask(name: str, what: str = "", call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id, name, json.dumps({"what": what} if what else {}))


Answer = Callable[[Sequence[ChatMessage]], Sequence[ReplyPart]]


@dataclass
class Caller:
    """A model that answers by a function of all it is told."""

    answer: Answer
    asked: list[list[ChatMessage]] = field(default_factory=list)
    offered: list[tuple[ToolInfo, ...]] = field(default_factory=list)
    delay: float = 0.0
    deadlines: Deadlines = field(default_factory=Deadlines)

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo] = ()
    ) -> AsyncGenerator[ReplyPart, None]:
        self.asked.append(list(history))
        self.offered.append(tuple(tools))
        await asyncio.sleep(self.delay)
        for part in self.answer(history):
            yield part

    async def aclose(self) -> None:
        pass


def once(*parts: ReplyPart) -> Answer:
    """Ask for this when nothing was called in this answer yet; then say what the tools said."""

    def answer(history: Sequence[ChatMessage]) -> Sequence[ReplyPart]:
        if history[-1].role != "tool":
            return parts
        results: list[str] = []
        for message in reversed(history):
            if message.role != "tool":
                break
            results.insert(0, message.text)
        return ["I know: " + " ".join(results)]

    return answer
