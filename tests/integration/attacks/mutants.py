"""Messages with mistakes in them, as a program: ``python mutants.py ADDRESS KIND COUNT CONNECTIONS``.

KIND is ``realtime``, ``audio`` (the routes below /v1/audio) or ``wyoming`` (ADDRESS is its port's then). It prints how
often the server answered how, and always ends by itself.
"""

from __future__ import annotations

import collections
import copy
import http.client
import io
import json
import os
import random
import select
import socket
import sys
import threading
import wave
from collections.abc import Callable
from typing import Any

from attackers import _TEXT, connect, frame

Tally = collections.Counter[str]
ODD: list[Any] = [None, True, -1, 0, 1e308, 10**40, "", "\0", "é" * 50, "x" * 5000, [], {}, [[[[]]]], {"a": {"b": []}}]
EVERY = 10
"""Messages after which the server is waited for: what a closed connection leaves unread is no test of anything."""
PATIENCE = 1.0
"""Seconds after which it waits for the rest of a message that has none."""
DEEP = b'{"type": "x", "a": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}"


def spoiled(message: dict[str, Any], chance: random.Random, mistakes: tuple[int, ...] = (0, 1, 1, 2, 3)) -> Any:
    """The same with mistakes in its structure."""
    message = copy.deepcopy(message)
    for _ in range(chance.choice(mistakes)):
        place: Any = message
        while isinstance(place, dict) and place:
            name = chance.choice(list(place))
            if isinstance(place[name], dict) and place[name] and chance.random() < 0.7:
                place = place[name]
                continue
            how = chance.random()
            if how < 0.2:
                del place[name]
            elif how < 0.4:
                place[chance.choice(("a", "x" * 200, "type", "id"))] = copy.deepcopy(chance.choice(ODD))
            else:
                place[name] = copy.deepcopy(chance.choice(ODD))
            break
    return message


def damaged(data: bytes, chance: random.Random, share: float = 0.3, highest: int = 256) -> bytes:
    """The same, perhaps, with other bytes in it, below ``highest``, or cut off."""
    found = bytearray(data)
    if chance.random() < share:
        for _ in range(chance.randint(1, 4)):
            found[chance.randrange(len(found))] = chance.randrange(highest)
    if chance.random() < share / 3:
        del found[chance.randrange(1, len(found)) :]
    return bytes(found)


# --- Realtime --------------------------------------------------------------------------

_TEXT_ITEM = {"type": "message", "id": "i", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
_TOOL = {"type": "function", "name": "look", "description": "", "parameters": {"type": "object", "properties": {}}}
EVENTS: list[dict[str, Any]] = [
    {"type": "session.update", "event_id": "e", "session": {
        "type": "realtime", "instructions": "Be brief.", "tools": [_TOOL], "output_modalities": ["text"],
        "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
                            "format": {"type": "audio/pcm", "rate": 24_000},
                            "transcription": {"model": "whisper-1", "prompt": "Ecobee, Kokoro", "keywords": ["Piper"]}},
                  "output": {"voice": "alloy", "speed": 1.0}}}},
    {"type": "input_audio_buffer.append", "audio": "AAAA" * 320},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "previous_item_id": "root", "item": _TEXT_ITEM},
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "ok"}},
    {"type": "conversation.item.create", "item": {"type": "function_call", "call_id": "c", "name": "n",
                                                  "arguments": "{}"}},
    {"type": "conversation.item.retrieve", "item_id": "i"},
    {"type": "conversation.item.delete", "item_id": "i"},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 100},
    {"type": "response.create", "response": {"conversation": "none", "input": [_TEXT_ITEM], "tools": [_TOOL],
                                             "output_modalities": ["text"], "metadata": {"a": "b"}}},
    {"type": "response.create"},
    {"type": "response.cancel"},
    {"type": "output_audio_buffer.clear"},
]  # fmt: skip


def realtime(address: tuple[str, int], count: int, chance: random.Random, tally: Tally) -> None:
    """Events on a socket that is opened again whenever the server has closed it."""
    sock = None
    for number in range(count):
        sock = sock or connect(address, "/v1/realtime?model=gpt-realtime")
        data = json.dumps(spoiled(chance.choice(EVENTS), chance)).encode()
        data = DEEP if chance.random() < 0.01 else damaged(data, chance, highest=128)  # other bytes close a WebSocket
        tally["sent"] += 1
        try:
            sock.sendall(frame(_TEXT, data))
            if number % EVERY == 0:
                asked = {"type": "conversation.item.retrieve", "event_id": f"sync-{number}", "item_id": "nobody"}
                sock.sendall(frame(_TEXT, json.dumps(asked).encode()))
                told = _until(sock, f"sync-{number}".encode(), tally)
                tally["errors"] += told.count(b'"type":"error"') - 1
                tally["done"] += told.count(b'"type":"response.done"') + told.count(b'"type":"session.updated"')
        except OSError:
            tally["closed"] += 1
            sock = sock.close()
    if sock is not None:
        sock.close()


def _until(sock: socket.socket, mark: bytes, tally: Tally) -> bytes:
    """What comes, up to this. Raises ConnectionError when it never does."""
    found = bytearray()
    while mark not in found:
        if not select.select([sock], [], [], PATIENCE)[0]:
            tally["stuck"] += 1
            raise ConnectionError
        data = sock.recv(1 << 16)
        found += data
        if not data:
            raise ConnectionError
    return bytes(found)


# --- /v1/audio -------------------------------------------------------------------------

SPEECH = {"input": "Hi.", "model": "tts-1", "voice": "alloy", "response_format": "pcm", "speed": 4.0, "id": "a",
          "stream_format": "audio", "instructions": "", "timestamp_granularities": ["word"]}  # fmt: skip
FORM = {"model": "whisper-1", "language": "en", "response_format": "json", "stream": "false", "temperature": "0",
        "prompt": "", "timestamp_granularities[]": "word"}  # fmt: skip

WRONG: list[tuple[str, list[Any]]] = [
    ("input", [None, True, -1, "", "x" * 5000, [], {}]),
    ("voice", [True, 10**40, "\0", "x" * 5000, [[[[]]]], {"a": {"b": []}}]),
    ("response_format", [True, 0, "\0", "é" * 50, [], {"a": 1}]),
    ("speed", [True, -1, 1e308, 10**40, "x", [], {}]),
]


def _recording() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(bytes(3_200))
    return file.getvalue()


def _form(chance: random.Random) -> bytes:
    fields = spoiled(FORM, chance, (1, 2, 3))
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    name = "file" if chance.random() < 0.01 else chance.choice(("fil", "", "FILE", "model", "file\0"))
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    sound = damaged(_recording(), chance, 0.9)[: chance.choice((0, 20, 44, 10_000))]
    return damaged("".join(parts).encode() + head.encode() + sound + b"\r\n--x--\r\n", chance, 0.6)


def _json(chance: random.Random) -> bytes:
    asked = spoiled(SPEECH, chance)
    if chance.random() > 0.01:  # else it might be spoken, which is no test of a mistake, and takes its time
        name, odd = chance.choice(WRONG)
        asked[name] = copy.deepcopy(chance.choice(odd))
    return DEEP if chance.random() < 0.02 else damaged(json.dumps(asked).encode(), chance)


def audio(address: tuple[str, int], count: int, chance: random.Random, tally: Tally) -> None:
    """Requests, one after the other."""
    client = http.client.HTTPConnection(*address, timeout=60)
    for _ in range(count):
        if chance.random() < 0.5:
            path, kind, body = "/v1/audio/speech", "application/json", _json(chance)
        else:
            path, kind = "/v1/audio/transcriptions", f"multipart/form-data; boundary={chance.choice('xxxxxxxy')}"
            body = _form(chance)
        if chance.random() < 0.03:
            kind = chance.choice(("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"))
        tally["sent"] += 1
        try:
            client.request("POST", path, body, {"Content-Type": kind})
            answer = client.getresponse()
            answer.read()
            tally[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            tally[type(error).__name__] += 1
            client.close()


# --- Wyoming ---------------------------------------------------------------------------

SOUND = {"rate": 16_000, "width": 2, "channels": 1}
SAID: list[tuple[dict[str, Any], bytes]] = [
    ({"type": "describe"}, b""),
    ({"type": "ping", "data": {"text": "x"}}, b""),
    ({"type": "synthesize", "data": {"text": "Hi.", "voice": {"name": "espeak", "speaker": "f1"}}}, b""),
    ({"type": "synthesize-start", "data": {"voice": {"language": "en_US"}}}, b""),
    ({"type": "synthesize-chunk", "data": {"text": "Hi. "}}, b""),
    ({"type": "synthesize-stop"}, b""),
    ({"type": "transcribe", "data": {"language": "en", "transcript_terms": ["Rome"]}}, b""),
    ({"type": "audio-start", "data": SOUND}, b""),
    ({"type": "audio-chunk", "data": SOUND}, bytes(640)),
    ({"type": "audio-stop"}, b""),
]


def wyoming(address: tuple[str, int], count: int, chance: random.Random, tally: Tally) -> None:
    """Messages on a connection that is opened again whenever the server has closed it, or waits for more of one."""
    sock = None
    for number in range(count):
        sock = sock or socket.create_connection(address, timeout=60)
        message, payload = chance.choice(SAID)
        header = {**message, **({"payload_length": len(payload)} if payload else {})}
        if chance.random() < 0.05:  # what is no message at all closes the connection
            header = spoiled(header, chance)
        elif "data" in header:
            header["data"] = spoiled(header["data"], chance)
        tally["sent"] += 1
        try:
            sock.sendall(damaged(json.dumps(header).encode() + b"\n" + payload, chance, 0.02))
            if number % EVERY == 0:
                sock.sendall(b'{"type": "ping", "data": {"text": "sync-%d"}}\n' % number)
                told = _until(sock, b"sync-%d" % number, tally)
                tally["errors"] += told.count(b'"error"')
                tally["answers"] += told.count(b'"audio-stop"') + told.count(b'"transcript-stop"')
        except OSError:
            tally["closed"] += 1
            sock = sock.close()
    if sock is not None:
        sock.close()


KINDS: dict[str, Callable[[tuple[str, int], int, random.Random, Tally], None]] = {
    "realtime": realtime,
    "audio": audio,
    "wyoming": wyoming,
}


def main() -> None:
    os.nice(10)
    place, kind, count, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    host, _, port = place.rpartition(":")
    tallies = [Tally() for _ in range(connections)]
    threads = [
        threading.Thread(
            target=KINDS[kind], args=((host, int(port)), count // connections, random.Random(number), tally)
        )
        for number, tally in enumerate(tallies)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(sum(tallies, Tally())))


if __name__ == "__main__":
    main()
