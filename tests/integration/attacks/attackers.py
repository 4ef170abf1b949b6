"""Clients that do what they like, as a program: ``python attackers.py ADDRESS KIND SECONDS CONNECTIONS``.

Written by hand over sockets, so that an attacker costs less than what it attacks. It prints what it did, and
always ends by itself.
"""

from __future__ import annotations

import array
import http.client
import json
import os
import select
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

START = '{"type": "start", "sample_rate": 16000, "echo_cancelled": true}'
FLOODS = {
    "playout": '{"type": "playout", "utterance_id": "nobody", "sample": 5}',
    "interrupt": '{"type": "interrupt"}',
    "set_voice": '{"type": "set_voice", "voice": {}}',
    "ping": '{"type": "ping", "id": 1}',
    "end_turn": '{"type": "end_turn"}',
    "text": '{"type": "text", "text": "And now?"}',
    "faulty": '{"type": "sing"}',
    "audio": b"\x01\0\0\0" + bytes(320),
    "say": json.dumps({"type": "say", "text": "And nobody has to wait. " * 400}),
    "say_piece": '{"type": "say", "text": "And so on, "}',
    "say_end": '{"type": "say_end"}',
}
_USER = '"role": "user", "content": [{"type": "input_text", "text": "' + "And now? " * 200 + '"}]'
REALTIME = {
    "rt_append": '{"type": "input_audio_buffer.append", "audio": "AAAA"}',
    "rt_sound": '{"type": "input_audio_buffer.append", "audio": "' + "AAAA" * 16_000 + '"}',
    "rt_session": '{"type": "session.update", "session": {"type": "realtime", "instructions": "' + "x" * 50_000 + '"}}',
    "rt_item": '{"type": "conversation.item.create", "item": {"type": "message", ' + _USER + "}}",
    "rt_response": '{"type": "response.create", "response": {"conversation": "none", "output_modalities": ["text"]}}',
    "rt_interrupt": '{"type": "response.create"}',
    "rt_keys": '{"type": "x", "y": {' + ",".join(f'"{number:x}":1' for number in range(12_000)) + "}}",
    "rt_faulty": '{"type": "sing"}',
}
"""Floods of the Realtime interface."""
FRAMES = ("wire_ping", "empty_pieces")
"""Floods below the level of messages."""
_WORDS = "The quick brown fox jumps over the lazy dog, and nobody has to wait for it. " * 50
_NOISE = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 1_440_036, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16,
                     b"data", 1_440_000) + os.urandom(1_440_000)  # fmt: skip
_PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
REQUESTS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "speech": ("/v1/audio/speech", json.dumps({"input": _WORDS, "response_format": "mp3"}).encode(), {}),
    "recording": (
        "/v1/audio/transcriptions",
        _PART + _NOISE + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    ),
}
_TEXT, _BINARY, _PING, _CONTINUED = 0x81, 0x82, 0x89, 0x00
_AT_ONCE = 200


def frame(kind: int, payload: bytes) -> bytes:
    """A masked WebSocket frame; the mask is zero."""
    length = len(payload)
    head = bytes([kind, 0x80 | length]) if length < 126 else bytes([kind, 0xFE]) + struct.pack("!H", length & 0xFFFF)
    if length > 0xFFFF:
        head = bytes([kind, 0xFF]) + struct.pack("!Q", length)
    return head + bytes(4) + payload


def flood_of(kind: str) -> bytes:
    """What is sent again and again."""
    if kind == "wire_ping":
        return frame(_PING, b"x") * _AT_ONCE
    if kind == "empty_pieces":
        return frame(_CONTINUED, b"") * _AT_ONCE
    message = {**FLOODS, **REALTIME}[kind]
    one = frame(_BINARY, message) if isinstance(message, bytes) else frame(_TEXT, message.encode())
    return one * (_AT_ONCE if len(one) < 10_000 else 4)


def connect(address: tuple[str, int], path: str = "/v1/session") -> socket.socket:
    """A session: handshake, and the start message where there is one."""
    sock = socket.create_connection(address, timeout=20)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    sock.recv(4096)
    if path == "/v1/session":
        sock.sendall(frame(_TEXT, START.encode()))
    return sock


def flood(address: tuple[str, int], kind: str, seconds: float, connections: int) -> int:
    """As fast as the sockets take it, on all connections; what comes back is read and forgotten."""
    data, sent = flood_of(kind), 0
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        sock = connect(address, "/v1/realtime?model=gpt-realtime" if kind in REALTIME else "/v1/session")
        if kind == "empty_pieces":
            sock.sendall(frame(0x01, b"{"))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, [data])
    until = time.monotonic() + seconds
    while time.monotonic() < until and selector.get_map():
        for key, events in selector.select(0.1):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                if events & selectors.EVENT_READ and not sock.recv(65_536):
                    raise ConnectionResetError
                if events & selectors.EVENT_WRITE:
                    count = sock.send(key.data[0])
                    sent += count
                    key.data[0] = key.data[0][count:] or data
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(sock)
                sock.close()
    return sent * _AT_ONCE // len(data)


def at_once(work: Callable[[], int], connections: int) -> int:
    """The same on so many connections, and what came of all together."""
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(work())) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)


def reconnect(address: tuple[str, int], seconds: float) -> int:
    """A connection for each message, one behind the other."""
    done = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with connect(address) as sock:
                sock.sendall(frame(_TEXT, FLOODS["ping"].encode()))
            done += 1
        except OSError:
            continue
    return done


def talk(address: tuple[str, int], seconds: float, connections: int) -> int:
    """People who go on talking without a pause, in real time, each at another place of the same speech."""
    pcm = _speech(address)
    socks = [connect(address) for _ in range(connections)]
    began, sent = time.monotonic(), 0
    while sent * 0.02 < seconds:
        for index, sock in enumerate(socks):
            at = (sent + index * 77) * 640 % (len(pcm) - 640)
            sock.sendall(frame(_BINARY, b"\x01\0\0\0" + pcm[at : at + 640]))
            _forget(sock)
        sent += 1
        time.sleep(max(0.0, began + sent * 0.02 - time.monotonic()))  # as fast as people speak
    for sock in socks:
        sock.close()
    return sent


def _speech(address: tuple[str, int]) -> bytes:
    """What people may say, as 16 kHz samples; every 3 of 2 samples of 24 kHz are good enough to be heard as speech."""
    client = http.client.HTTPConnection(*address, timeout=60)
    client.request("POST", "/v1/audio/speech", json.dumps({"input": _WORDS[:300], "response_format": "pcm"}).encode())
    whole = array.array("h", client.getresponse().read())
    client.close()
    return array.array("h", (whole[index * 3 // 2] for index in range(len(whole) * 2 // 3))).tobytes()


def _forget(sock: socket.socket) -> None:
    """What the server says to somebody who does not listen."""
    while select.select([sock], [], [], 0)[0]:
        if not sock.recv(65_536):
            raise ConnectionResetError("The server hung up on somebody who only talks.")


def half_requests(address: tuple[str, int], seconds: float, connections: int) -> int:
    """Requests whose headers or bodies never end."""
    head = f"POST /v1/webrtc HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Type: application/sdp\r\n"
    socks = []
    for index in range(connections):
        sock = socket.create_connection(address, timeout=20)
        sock.sendall((head if index % 2 else head + "Content-Length: 1000\r\n\r\nv=0").encode())
        socks.append(sock)
    time.sleep(seconds)
    for sock in socks:
        sock.close()
    return len(socks)


def requests(address: tuple[str, int], kind: str, seconds: float, connections: int) -> int:
    """Long texts to be spoken, or long recordings to be written down, one behind the other on each connection.

    Who is in the middle of an answer when the time is over leaves.
    """
    until = time.monotonic() + seconds

    def one_after_another() -> int:
        done = 0
        while time.monotonic() < until:
            client = http.client.HTTPConnection(*address, timeout=60)
            try:
                client.request("POST", *REQUESTS[kind])
                answer = client.getresponse()
                while answer.read1(1 << 16):
                    if time.monotonic() >= until:
                        return done
                done += 1
            except (OSError, http.client.HTTPException):
                continue
            finally:
                client.close()
        return done

    return at_once(one_after_another, connections)


def main() -> None:
    os.nice(10)  # a flood over the network would not take the server's processor time either
    place, kind, seconds, connections = sys.argv[1:5]
    host, _, port = place.rpartition(":")
    address = (host, int(port))
    if kind == "reconnect":
        done = at_once(lambda: reconnect(address, float(seconds)), int(connections))
    elif kind == "talk":
        done = talk(address, float(seconds), int(connections))
    elif kind in REQUESTS:
        done = requests(address, kind, float(seconds), int(connections))
    elif kind == "half_requests":
        done = half_requests(address, float(seconds), int(connections))
    else:
        done = flood(address, kind, float(seconds), int(connections))
    print(done)


if __name__ == "__main__":
    main()
