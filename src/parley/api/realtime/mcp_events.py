"""Tools of MCP servers as the server events of the Realtime interface: lists, approvals, calls (pure)."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parley.api.realtime.turn_events import Event, Make, added

_KEPT = 500
"""Entries and calls that are remembered."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool by the names that the client knows, and whether its calls wait for approval."""

    label: str
    name: str
    description: str
    parameters: Mapping[str, Any]
    asks: bool


@dataclass(slots=True)
class McpCall:
    """One call. ``item`` is as clients read it."""

    item: Event
    output_index: int
    after: str


class McpEvents:
    """One session's entries that the conversation itself does not know, and its calls. ``name`` makes ids.

    ``tools``: those that there are now, by the name that the model knows.
    """

    def __init__(self, make: Make, name: Callable[[str], str]) -> None:
        self._event = make
        self._name = name
        self._items: OrderedDict[str, Event] = OrderedDict()
        self._lists: dict[str, Event] = {}
        """Whoever asks for them forgets them: they are large."""
        self._calls: OrderedDict[str, McpCall] = OrderedDict()
        self._unasked: dict[str, tuple[McpTool, Event]] = {}
        """Requests for approval whose calls nobody has been told of, by key."""
        self.tools: Mapping[str, McpTool] = {}

    # --- entries ---------------------------------------------------------------------------

    def retrieve(self, item_id: str) -> list[Event] | None:
        """An entry that is kept here; None for any other."""
        item = self._items.get(item_id) or self._lists.get(item_id)
        return None if item is None else [self._event("conversation.item.retrieved", item=item)]

    def _keep(self, item: Event) -> Event:
        self._items[item["id"]] = item
        while len(self._items) > _KEPT:
            self._items.popitem(last=False)
        return item

    def forget(self, item_id: str) -> None:
        """A list that counts no more, for there is another one or the session has that server no longer."""
        self._lists.pop(item_id, None)

    def listing(self, label: str) -> tuple[str, list[Event]]:
        """A server is asked for its tools: the entry's id."""
        item_id = self._name("mcpl")
        self._lists[item_id] = {
            "id": item_id, "object": "realtime.item", "type": "mcp_list_tools", "server_label": label,
            "status": "in_progress", "tools": [],
        }  # fmt: skip
        return item_id, [self._event("mcp_list_tools.in_progress", item_id=item_id)]

    def listed(self, item_id: str, tools: Sequence[McpTool]) -> list[Event]:
        """It has told them."""
        told = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in tools
        ]
        item = self._lists[item_id] = {**self._lists[item_id], "status": "completed", "tools": told}
        return [*added(self._event, item, ""), self._event("mcp_list_tools.completed", item_id=item_id)]

    def not_listed(self, item_id: str) -> list[Event]:
        """It could not be asked, or gave no answer."""
        self._lists[item_id] = {**self._lists[item_id], "status": "incomplete"}
        return [self._event("mcp_list_tools.failed", item_id=item_id)]

    # --- approval --------------------------------------------------------------------------

    def ask(self, key: str, tool: McpTool, arguments: Mapping[str, Any]) -> tuple[str, list[Event]]:
        """A call waits for approval: the request's id. It is told of behind the call, which may still be to come."""
        item = self._keep({
            "id": self._name("mcpr"), "object": "realtime.item", "type": "mcp_approval_request",
            "server_label": tool.label, "name": tool.name, "arguments": json.dumps(arguments),
        })  # fmt: skip
        self._unasked[key] = tool, item
        while len(self._unasked) > _KEPT:
            del self._unasked[next(iter(self._unasked))]
        return item["id"], self._asked(key) if key in self._calls else []

    def _asked(self, key: str) -> list[Event]:
        if key not in self._unasked:
            return []
        _, item = self._unasked.pop(key)
        call = self._calls[key]
        call.item["approval_request_id"] = item["id"]
        return added(self._event, item, call.item["id"])

    def answered(self, item_id: str, request_id: str, approve: bool, reason: str) -> list[Event]:
        """The client has said whether."""
        item: Event = {"id": item_id or self._name("item"), "object": "realtime.item", "type": "mcp_approval_response"}
        item |= {"approval_request_id": request_id, "approve": approve, **({"reason": reason} if reason else {})}
        return added(self._event, self._keep(item), request_id)

    # --- calls -----------------------------------------------------------------------------

    def tool(self, name: str, key: str) -> McpTool | None:
        """What this call is of: where approval is asked for already that tool, though it may be gone by now."""
        asked = self._unasked.get(key)
        return self.tools.get(name) if asked is None else asked[0]

    def call(self, key: str) -> McpCall | None:
        """One that the client was told of."""
        return self._calls.get(key)

    def begin(self, key: str, tool: McpTool, item_id: str, arguments: str, output_index: int, after: str) -> McpCall:
        """There will be this call."""
        item: Event = {"id": item_id, "object": "realtime.item", "type": "mcp_call", "status": "in_progress"}
        item |= {"server_label": tool.label, "name": tool.name, "arguments": arguments, "output": None, "error": None}
        call = self._calls[key] = McpCall(self._keep(item), output_index, after)
        while len(self._calls) > _KEPT:
            self._calls.popitem(last=False)
        return call

    def arguments(self, call: McpCall, response_id: str) -> list[Event]:
        """With what it is called."""
        where = {"response_id": response_id, "item_id": call.item["id"], "output_index": call.output_index}
        said = call.item["arguments"]
        return [
            self._event("response.mcp_call_arguments.delta", **where, delta=said, obfuscation=""),
            self._event("response.mcp_call_arguments.done", **where, arguments=said),
        ]

    def waits(self, key: str, tool: McpTool) -> list[Event]:
        """It is at work now, or waits for approval."""
        return self._asked(key) if tool.asks else self.at_work(key)

    def at_work(self, key: str) -> list[Event]:
        """Nothing is waited for any more but the server."""
        call = self._calls.get(key)
        return [] if call is None else [self._of(call, "in_progress")]

    def over(self, call: McpCall, output: str, *, failed: bool) -> list[Event]:
        """This became of it."""
        call.item["status"] = "incomplete" if failed else "completed"
        if failed:
            call.item["error"] = {"type": "tool_execution_error", "message": output}
        else:
            call.item["output"] = output
        return [self._of(call, "failed" if failed else "completed")]

    def _of(self, call: McpCall, what: str) -> Event:
        return self._event(f"response.mcp_call.{what}", item_id=call.item["id"], output_index=call.output_index)
