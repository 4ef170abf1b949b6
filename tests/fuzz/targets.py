"""Everything that reads what others send or write: what it is given, and what it may say no with.

A target takes bytes as they would come and returns nothing. It may raise the errors named beside it and no others; what
it takes it must be able to hand on: as UTF-8, as the same message again, as a text of which nothing was lost.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from parley import tracing
from parley.api.listening import asked as listening
from parley.api.realtime import client_events
from parley.api.requests import speech_request
from parley.api.wyoming import asked as wyoming
from parley.api.wyoming import wire
from parley.config import load_settings
from parley.errors import ConfigError, InvalidRequest, NotFound, ParleyError
from parley.llm.answer import Answer, EndpointFailed
from parley.llm.events import Events, NotAnAnswer
from parley.messages import (
    ClientMessage,
    ErrorMessage,
    Ping,
    PlayoutReport,
    Pong,
    ReplyStarted,
    SayDelta,
    SayEnd,
    ServerMessage,
    SetVoice,
    StartSession,
    TextInput,
    TranscriptUpdate,
)
from parley.server.keys import read_keys
from parley.server.livekit_asked import asked as livekit_asked
from parley.text.languages import parse
from parley.text.sentences import Sentences
from parley.text.speech.lexicon import parse_lexicon
from parley.text.speech.normaliser import Normaliser
from parley.transports import binary, codec, rtc_sdp
from parley.values import Voice
from parley.worker.metadata import read_pack


@dataclass(frozen=True, slots=True)
class Target:
    """One reader, some good inputs, and the errors by which it refuses others."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    refuses: tuple[type[Exception], ...] = (InvalidRequest,)


def text_of(data: bytes) -> str:
    """As a WebSocket hands a text message on: valid UTF-8 alone, which the protocol itself sees to."""
    return data.decode("utf-8", "replace")


def _dumped(*values: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


def _encoded(*messages: ClientMessage | ServerMessage) -> tuple[bytes, ...]:
    return tuple(codec.encode(message).encode() for message in messages)


# --- interfaces --------------------------------------------------------------------------


def client_message(data: bytes) -> None:
    message = codec.decode_client(text_of(data))
    assert codec.decode_client(codec.encode(message)) == message


def server_message(data: bytes) -> None:
    message = codec.decode_server(text_of(data))
    assert codec.decode_server(codec.encode(message)) == message


def microphone_frame(data: bytes) -> None:
    pcm = binary.unpack_microphone(data, 320, 1_920)
    assert len(pcm) % 2 == 0
    assert data == binary.MICROPHONE_HEADER + pcm


def agent_frame(data: bytes) -> None:
    frame = binary.unpack_agent(data)
    assert binary.unpack_agent(binary.pack_agent(*frame)) == frame


def realtime_event(data: bytes) -> None:
    event = client_events.read(text_of(data))
    assert (event.request is None) != (event.error is None)


def listening_message(data: bytes) -> None:
    listening.message(text_of(data))


def wyoming_messages(data: bytes) -> None:
    async def read_all() -> None:
        reader = asyncio.StreamReader(limit=wire.LONGEST_LINE)
        reader.feed_data(data)
        reader.feed_eof()
        while (event := await wire.read(reader)) is not None:
            for field in (
                wyoming.text_of,
                wyoming.voice_of,
                wyoming.language_of,
                wyoming.hot_words_of,
                wyoming.format_of,
            ):
                try:
                    field(event.data)
                except InvalidRequest:
                    continue

    asyncio.run(read_all())


def speech_body(data: bytes) -> None:
    speech_request(_body(data), 4_096)


def livekit_token(data: bytes) -> None:
    livekit_asked(_body(data), "parley")


def _body(data: bytes) -> Any:
    """A request's JSON, as the server reads it; what is none never gets further."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is no JSON.") from None


def offer(data: bytes) -> None:
    text = text_of(data)
    rtc_sdp.check_offer(text, "parley")
    bare = rtc_sdp.without_hidden_candidates(text)
    rtc_sdp.with_frame_length(bare, 20)
    rtc_sdp.candidates_of(bare)


def ice_restart(data: bytes) -> None:
    name, password, candidates = rtc_sdp.ice_part(text_of(data))
    rtc_sdp.with_ice("v=0\r\nm=audio 9 RTP 0\r\n", name, password, candidates)


def traceparent(data: bytes) -> None:
    place = tracing.place_from(data.decode("latin-1"))
    if place is not None:
        assert tracing.place_from(place.header) == place


def model_stream(data: bytes) -> None:
    """What comes in one piece says the same as what comes byte by byte, and no event makes an answer fall over."""
    whole, pieces = Events(), Events()
    at_once = [*whole.add(data), *whole.finish()]
    by_bytes = [found for at in range(len(data)) for found in pieces.add(data[at : at + 1])]
    assert [*by_bytes, *pieces.finish()] == at_once
    answer = Answer(tools=True)
    for event in at_once:
        answer.add(event)
    answer.finish()


# --- files ------------------------------------------------------------------------------


def _in_a_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def with_file(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            read(path)

    return with_file


def keys(data: bytes) -> None:
    try:
        content = yaml.safe_load(text_of(data))
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # whoever reads the file says that it is no YAML
    read_keys(content, "keys.yaml")


# --- text -------------------------------------------------------------------------------


def spoken(data: bytes) -> None:
    """Pieces lose nothing but white space at the end, and each can be said in every language."""
    text = text_of(data)[:4_000]
    for language in ("en-GB", "de", "fr", "es", "ja", ""):
        splitter, normaliser = Sentences(language), Normaliser(language)
        pieces = [*splitter.add(text), *splitter.finish()]
        assert "".join(pieces).rstrip() == text.rstrip()
        for piece in pieces:
            normaliser.piece(piece)


def lexicon(data: bytes) -> None:
    list(parse_lexicon(text_of(data)).claims("Kubernetes and nginx", ""))


_WYOMING = (wyoming.text_of, wyoming.voice_of, wyoming.language_of, wyoming.hot_words_of, wyoming.format_of)
_OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\n"
    b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
    b"a=candidate:1 1 udp 2122260223 192.0.2.1 5000 typ host\r\n"
    b"a=candidate:2 1 udp 2122260223 x.local 5001 typ host\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
)
_EVENTS = (
    b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"choices":[{"delta":{"content":"lo"}}]}\r\n\r\n'
    b": note\n\n"
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
)
_PROSE = (
    "# Title\n\nOn 3 May 2024 at 10:45 it cost £1,299.99 (5 % less),"
    " see [this](https://example.org/a?b=c) or **that**."
    "\n- one\n- `two`\n\n```python\nprint(1)\n```\nDr. Smith's 2nd call: +44 20 7946 0958. 1/2 of 10 km/h… v1.2.3?"
    " “Yes!” "
    "Am 3.5.2024 um 7.30 Uhr. Le 1er mai. 100 000 €. 東京は晴れ。 XIV. 10-20 kg, #5 and 6 ft 2 in; e.g. a@b.org.\n"
).encode()
TARGETS: dict[str, Target] = {
    "binary frame of the microphone": Target(microphone_frame, (binary.MICROPHONE_HEADER + bytes(640),)),
    "binary frame of the agent": Target(agent_frame, (binary.pack_agent(1, 960, True, bytes(1_920)),)),
    "WebSocket, from a client": Target(
        client_message,
        _encoded(
            StartSession(voice=Voice("a", "b"), language="de", echo_cancelled=True, settings={"turn.silence_ms": 500}),
            TextInput("Hello"),
            SayDelta("Hello"),
            SayEnd(),
            SetVoice(Voice("a", "b")),
            PlayoutReport("u", 960),
            Ping(1),
        ),
    ),
    "WebSocket, from the server": Target(
        server_message,
        _encoded(Pong(1), ErrorMessage("busy", "Later.", False), TranscriptUpdate(1, "a", True), ReplyStarted("u", 1)),
    ),
    "Realtime": Target(
        realtime_event,
        _dumped(
            {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief.", "audio": {}}},
            {"type": "input_audio_buffer.append", "audio": "AAAA"},
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Hello"}]}},
            {"type": "response.create", "response": {"output_modalities": ["text"], "metadata": {"a": "b"}}},
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 5},
        ),
        (),
    ),
    "listening": Target(
        listening_message,
        _dumped({"type": "start", "sample_rate": 16000, "language": "en", "silence": 0.5}, {"type": "commit"}),
    ),
    "Wyoming": Target(
        wyoming_messages,
        (
            wire.packed(wire.Event("synthesize", {"text": "Hello", "voice": {"name": "a", "speaker": "b"}})),
            wire.packed(wire.Event("audio-start", {"rate": 16000, "width": 2, "channels": 1}))
            + wire.packed(wire.Event("audio-chunk", {"rate": 16000, "width": 2, "channels": 1}, bytes(64))),
            wire.packed(wire.Event("transcribe", {"language": "en", "transcript_names": ["Piper"]})),
        ),
    ),
    "speech over HTTP": Target(
        speech_body,
        _dumped({"input": "Hello", "model": "tts-1", "voice": {"id": "a"}, "speed": 1.5, "response_format": "wav"}),
    ),
    "LiveKit's token": Target(
        livekit_token,
        _dumped({"room_config": {"agents": [{"agent_name": "parley"}]}, "participant_attributes": {"a": "b"}}),
        (InvalidRequest, NotFound),
    ),
    "WebRTC offer": Target(offer, (_OFFER,)),
    "ICE restart": Target(ice_restart, (_OFFER,)),
    "traceparent": Target(traceparent, (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",), ()),
    "language model's stream": Target(
        model_stream,
        (_EVENTS, *_dumped({"choices": [{"message": {"content": "Hello"}}]}, {"error": {"message": "no", "code": 5}})),
        (NotAnAnswer, EndpointFailed, ParleyError, ValueError),
    ),
    "settings": Target(
        _in_a_file("c.yaml", lambda path: load_settings([path], environ={})),
        (
            b"server: {port: 8080, api_key: x}\nllm:\n  engine: openai\n  openai: {base_url: http://127.0.0.1/v1}\n",
            b"session:\n  limits: {max_text: 100}\nworker: {labels: [a, b], models: {default_model: tone}}\n",
        ),
        (ConfigError,),
    ),
    "voice pack": Target(
        _in_a_file("piper/a/metadata.yaml", lambda path: read_pack(path.parent)),
        (b"languages: [en-US]\nlicence: MIT\nspeakers: {a: 0, b: 1}\ndefault_speaker: a\n"
         b"tags: [small]\nsample_rate: 22050\n",),
        (ConfigError,),
    ),
    "file of keys": Target(
        keys,
        (b"keys:\n  - {name: a, sha256: " + b"f" * 64 + b", roles: [talk], expires: 2030-01-01, max_sessions: 3}\n",),
    ),
    "text on its way to a voice": Target(spoken, (_PROSE,), ()),
    "lexicon": Target(lexicon, (b"nginx = engine x; Kubernetes = koo ber netees\n# note\n",)),
    "language": Target(lambda data: parse(text_of(data)), (b"de-CH", b"zh-Hant-TW"), ()),
}  # fmt: skip
