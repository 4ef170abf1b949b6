"""MCP messages with mistakes in them, as a program: ``python mcp_mutants.py ADDRESS COUNT CONNECTIONS``.

It prints how many answers of each status there were, and always ends by itself.
"""

from __future__ import annotations

import collections
import copy
import http.client
import json
import os
import random
import sys
import threading
from typing import Any

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2031-01-01", "", "x" * 300)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "mutant", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "mutant", "version": "1"}}
MESSAGES: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "ping", "params": {"_meta": META}},
    {"jsonrpc": "2.0", "id": 3, "method": "server/discover", "params": {"_meta": META}},
    {"jsonrpc": "2.0", "id": 4, "method": "tools/list", "params": {"_meta": META, "cursor": None}},
    {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "models", "arguments": {}, "_meta": META}},
    {"jsonrpc": "2.0", "id": 6, "method": "tools/call",
     "params": {"name": "say", "arguments": {"text": "Hello.", "format": "wav"}, "_meta": META}},
    {"jsonrpc": "2.0", "id": 7, "method": "tools/call",
     "params": {"name": "listen", "arguments": {"audio": "UklGRiQAAABXQVZF", "language": "en"}, "_meta": META}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 6, "reason": "x"}},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}},
    {"jsonrpc": "2.0", "id": 8, "method": "logging/setLevel", "params": {"level": "debug"}},
    {"jsonrpc": "2.0", "id": 9, "method": "resources/read", "params": {"uri": "file:///etc/passwd"}},
    {"jsonrpc": "2.0", "id": 10, "result": {}},
    {"jsonrpc": "2.0", "id": 11, "error": {"code": -1, "message": "x"}},
]  # fmt: skip
ODD: list[Any] = [None, True, -1, 0, 1e308, 10**40, "", "\0", "é" * 50, "x" * 5000, [], {}, [[[[]]]], {"a": {"b": []}}]


def mutated(chance: random.Random) -> bytes:
    """One of the messages, with mistakes in its structure or in its bytes, or in both."""
    message: Any = json.loads(json.dumps(chance.choice(MESSAGES)))
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        _spoil(message, chance)
    if chance.random() < 0.05:
        message = [message] * chance.randint(0, 50)
    if chance.random() < 0.03:
        return b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}"
    data = bytearray(json.dumps(message).encode())
    if chance.random() < 0.3:
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.1:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def _spoil(value: Any, chance: random.Random) -> None:
    while isinstance(value, dict) and value:
        name = chance.choice(list(value))
        if isinstance(value[name], dict) and value[name] and chance.random() < 0.7:
            value = value[name]
            continue
        how = chance.random()
        if how < 0.2:
            del value[name]
        elif how < 0.4:
            value[chance.choice(("a", "x" * 200, "_meta", "method"))] = copy.deepcopy(chance.choice(ODD))
        else:
            value[name] = copy.deepcopy(chance.choice(ODD))
        return


def headers(chance: random.Random, body: bytes, session: str) -> dict[str, str]:
    """Those that such a request has, mostly; ``session`` is one that there is."""
    found = {
        "Content-Type": "text/plain" if chance.random() < 0.02 else "application/json",
        "Accept": "*/*" if chance.random() < 0.02 else "application/json, text/event-stream",
    }
    try:
        message = json.loads(body)
        method, name = str(message["method"]), str(message.get("params", {}).get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        method, name = "tools/call", "say"
    if chance.random() < 0.3 and session:
        return {**found, "MCP-Protocol-Version": "2025-06-18", "Mcp-Session-Id": session}
    found["MCP-Protocol-Version"] = chance.choice(VERSIONS) if chance.random() < 0.1 else "2026-07-28"
    if chance.random() < 0.1:
        found["Mcp-Session-Id"] = chance.choice(("x", "0" * 32, "f" * 400))
    if chance.random() < 0.9:
        found |= {"Mcp-Method": _plain(method), **({"Mcp-Name": _plain(name)} if name else {})}
    return found


def _plain(text: str) -> str:
    return "".join(letter for letter in text if " " < letter < "\x7f") or "x"


def opened(client: http.client.HTTPConnection) -> str:
    """A session of the protocol's older revisions."""
    wanted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    client.request("POST", "/mcp", json.dumps(MESSAGES[0]), wanted)
    answer = client.getresponse()
    answer.read()
    return answer.headers.get("mcp-session-id", "")


def main() -> None:
    os.nice(10)
    place, count, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    host, _, port = place.rpartition(":")
    statuses: collections.Counter[str] = collections.Counter()

    def send(number: int) -> None:
        chance = random.Random(number)
        client = http.client.HTTPConnection(host, int(port), timeout=20)
        session = opened(client)
        for _ in range(count // connections):
            body = mutated(chance)
            try:
                client.request(
                    chance.choice(("POST",) * 300 + ("DELETE",)), "/mcp", body, headers(chance, body, session)
                )
                answer = client.getresponse()
                answer.read()
                statuses[str(answer.status)] += 1
                if answer.status == 404:
                    session = opened(client)
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1
                client.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
