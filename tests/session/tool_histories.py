"""The life of ``histories``, with a model that asks for tools and tools that go wrong in every way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from tests.session.histories import DEEDS, SETTINGS, Deed, Life, Mind
from tests.session.tool_bench import Bench, Done, ask

from parley.conversation import Call, Result
from parley.errors import UnavailableError
from parley.session.decide import outcomes
from parley.session.settings import ToolCallSettings
from parley.values import ChatMessage, ReplyPart, ToolCall, ToolInfo

TIMEOUT = 3.0
WRITES = ("book", "pay", "ship")
NAMES = ("look", "book", "search", "timer", "pay", "ship", "fly")


@dataclass
class CallingMind(Mind):
    """Asks for what ``wants`` says, then says something; in some moods it asks again and again."""

    wants: tuple[str, ...] = ("look",)
    says_first: bool = False
    for_ever: bool = False
    asked_for: int = 0

    async def reply(
        self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo] = ()
    ) -> AsyncGenerator[ReplyPart, None]:
        after_tools = bool(history) and history[-1].role == "tool"
        if self.mood in ("well", "slow", "drips") and tools and (not after_tools or self.for_ever):
            if self.says_first:
                yield "Let me see. "
            for name in self.wants:
                yield self._call(name)
            return
        async for part in super().reply(history, tools):
            yield part

    def _call(self, name: str) -> ToolCall:
        self.asked_for += 1
        if name == "broken":
            return ToolCall(f"c{self.asked_for}", "look", '{"what": ')
        if name == "again":  # an id that every model gives that has no other
            return ask("book", "a table", call_id="call_0")
        return ask(name, "a table", call_id=f"c{self.asked_for}")


class ToolLife(Life):
    """A life with tools. What they must never do is one of its troubles."""

    mind: CallingMind
    settings = replace(SETTINGS, tools=ToolCallSettings(max_rounds=2, max_result=300))

    def __init__(self, reports: bool, delay: float) -> None:
        self.bench = Bench(on_call=self._called)
        self.bench.contracts = {name: {"timeout": TIMEOUT, "filler_after": 1.0} for name in NAMES[:-1]}
        self.tools = self.bench.box()
        super().__init__(reports, delay)

    def make_mind(self) -> Mind:
        return CallingMind()

    async def recover(self) -> None:
        self.mind.wants, self.bench.takes, self.bench.says = ("look",), {}, {}
        self.mind.for_ever = False
        await super().recover()

    async def close(self) -> None:
        assert self.tools is not None
        await self.tools.aclose()

    def _called(self, call: Done) -> None:
        """A tool has begun to work."""
        session = call.key.partition(":")[0]
        engine = next(visit.engine for visit in self.visits if visit.engine.session_id == session)
        known = any(isinstance(i, Call) and call.key.endswith(f":{i.call_id}") for i in engine.history.items)
        if call.name in WRITES and not known:
            self.troubles.append(f"{call.name} was begun on a guess")

    def examine(self) -> None:
        super().examine()
        written = [call.key for call in self.bench.calls if call.name in WRITES]
        if len(set(written)) != len(written):
            self.troubles.append("something was written twice")
        items = self.visits[-1].engine.history.items
        results = {item.call_id: item.output for item in items if isinstance(item, Result)}
        for item in items:
            if isinstance(item, Call) and item.call_id not in results:
                self.troubles.append(f"nobody knows what became of {item.name}")
        told = set(results.values())
        for call in self.bench.calls:
            visit = next(v for v in self.visits if v.engine.session_id == call.key.partition(":")[0])
            lost = call.end == "done" and call.name in WRITES and not self._is_told(call, told)
            if lost and not (visit.over and outcomes.ENDED in told):
                self.troubles.append(f"the result of {call.name} is lost")
            if call.end == "cut" and call.name in WRITES and call.took < TIMEOUT - 0.01:
                self.troubles.append(f"{call.name} was cut off")

    def _is_told(self, call: Done, told: set[str]) -> bool:
        return any(text.startswith(call.answer[:100]) for text in told)


def _wants(*names: str) -> Deed:
    def deed(life: Life, size: int) -> None:
        assert isinstance(life, ToolLife)
        life.mind.wants, life.mind.says_first = names, size % 3 == 0
        life.mind.for_ever = size % 11 == 0

    return deed


def _takes(life: Life, size: int) -> None:
    assert isinstance(life, ToolLife)
    life.bench.takes = dict.fromkeys(NAMES, (0.0, 0.05, 0.3, 1.0, 2.0, 2.9, 2.99, 1e6)[size % 8])


def _fail() -> str:
    raise UnavailableError("The tool is gone.")


def _break() -> str:
    raise ZeroDivisionError("a bug in the tool")


def _says(life: Life, size: int) -> None:
    assert isinstance(life, ToolLife)
    life.bench.says = dict.fromkeys(NAMES, (_fail, _break, lambda: "x" * 1_000_000)[size % 3])


def _says_well(life: Life, _: int) -> None:
    assert isinstance(life, ToolLife)
    life.bench.says = {}


TOOL_DEEDS: tuple[tuple[int, Deed], ...] = (
    (4, _wants("look")),
    (5, _wants("book")),
    (3, _wants("book", "look")),
    (3, _wants("search", "book", "ship")),
    (3, _wants("timer")),
    (3, _wants("pay")),
    (2, _wants("again")),
    (2, _wants("fly", "broken", "look")),
    (6, _takes),
    (2, _says),
    (2, _says_well),
)
WEIGHTED = [deed for weight, deed in (*DEEDS, *TOOL_DEEDS) for _ in range(weight)]
