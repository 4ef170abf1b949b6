"""The session object: what a client may set, what it reads back, and what both mean here (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from parley.api.hot_words import LONGEST, MOST, likely, likely_in
from parley.api.realtime import fields
from parley.api.realtime.errors import ClientError
from parley.api.realtime.mcp_servers import MOST_SERVERS, Server, read_server, servers, shown_server
from parley.orders import Manner
from parley.session.decide.arguments import fault_of
from parley.values import ReplyOptions, ToolInfo, is_tool_name

MOST_TOOLS = 128
LONGEST_INSTRUCTIONS = 100_000
LONGEST_NAME = 256
"""Characters of the name of a model or a voice."""
LONGEST_WITHOUT_EFFECT = 4_096
"""Characters, as JSON, of a field that is read back and does nothing here."""
LONGEST_PROMPT = 4_096
"""Characters of what is said to be likely in the participant's speech."""
PATIENCE = 600.0
"""Seconds that a call which a client was handed counts as open."""

_COMMON = ("type", "object", "id", "model", "expires_at", "include")
_REALTIME = (
    *_COMMON, "output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens", "truncation",
    "tracing", "prompt", "reasoning", "parallel_tool_calls", "audio",
)  # fmt: skip
_INPUT = ("format", "transcription", "noise_reduction", "turn_detection")
_OUTPUT = ("format", "voice", "speed")
_TRANSCRIPTION = ("model", "language", "languages", "keywords", "prompt", "delay")
_DELAYS = ("minimal", "low", "medium", "high", "xhigh")
_EAGERNESS = ("auto", "low", "medium", "high")
FORMATS: dict[str, dict[str, Any]] = {
    "audio/pcm": {"type": "audio/pcm", "rate": 24_000},
    "audio/pcmu": {"type": "audio/pcmu"},
    "audio/pcma": {"type": "audio/pcma"},
}
_WAITS: dict[str, dict[str, float]] = {
    "low": {"min_delay": 0.6, "delay": 1.0, "doubtful_delay": 2.0, "max_delay": 4.0},
    "medium": {},
    "high": {"min_delay": 0.25, "delay": 0.35, "doubtful_delay": 0.6, "max_delay": 0.9},
}
"""Silences by eagerness; the server's own where none are named."""
_SEMANTIC = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
_SERVER = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
    "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
}  # fmt: skip

Kind = Literal["realtime", "transcription"]


def _defaults(kind: Kind) -> dict[str, Any]:
    heard: dict[str, Any] = {
        "format": FORMATS["audio/pcm"],
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": _SEMANTIC,
    }
    if kind == "transcription":
        return {"audio": {"input": {**heard, "transcription": {"model": "gpt-4o-mini-transcribe"}}}}
    return {
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
        "audio": {
            "input": heard,
            "output": {"format": FORMATS["audio/pcm"], "voice": "alloy", "speed": 1.0},
        },
    }


@dataclass(frozen=True, slots=True)
class SessionObject:
    """Of one session, as it is now. ``data`` holds what is read back, defaults filled in.

    Nothing within ``data`` is ever changed: an update makes a new object, which shares with this one what stays.
    """

    kind: Kind
    model: str
    data: Mapping[str, Any]

    @classmethod
    def new(cls, kind: Kind, model: str) -> SessionObject:
        """With nothing set."""
        return cls(kind, model, _defaults(kind))

    def shown(self, session_id: str) -> dict[str, Any]:
        """As clients read it."""
        # Pipecat knows one name of the object alone, and every other client reads the type.
        own = {"type": self.kind, "object": "realtime.session", "id": session_id}
        shown = {**own, "model": self.model, **self.data}
        if self.servers:
            shown["tools"] = [shown_server(tool) if tool["type"] == "mcp" else tool for tool in shown["tools"]]
        return shown

    @property
    def servers(self) -> tuple[Server, ...]:
        """MCP servers that it has tools of."""
        return servers(self.data.get("tools", ()))

    @property
    def length(self) -> int:
        """Characters of it, as JSON."""
        return len(json.dumps(self.data))

    def updated(self, patch: Any) -> SessionObject:
        """With a client's ``session`` merged in: what it leaves out stays. Raises ClientError, and changes nothing."""
        new = fields.objects(patch, "session")
        kind = fields.one_of(new.get("type", self.kind), ("realtime", "transcription"), "session.type")
        if kind != self.kind:
            message = f"The session's type is {self.kind}; it can not be changed."
            raise ClientError(message, param="session.type")
        fields.known(new, _REALTIME if kind == "realtime" else (*_COMMON, "audio"), "session.")
        data, defaults = dict(self.data), _defaults(self.kind)
        for name, read in _FIELDS.items():
            if name in new:
                data[name] = defaults.get(name) if new[name] is None else read(new[name], f"session.{name}")
        for name in ("prompt", "include", "reasoning", "parallel_tool_calls"):
            if new.get(name) is not None:
                data[name] = _without_effect(new[name], f"session.{name}")
        if new.get("audio") is not None:
            data["audio"] = _audio(new["audio"], data["audio"], self.kind)
        return replace(self, data=data)

    def speaking(self, voice: str) -> SessionObject:
        """With another voice."""
        audio = {**self.data["audio"], "output": {**self.said, "voice": voice}}
        return replace(self, data={**self.data, "audio": audio})

    # --- what it means -----------------------------------------------------------------

    @property
    def heard(self) -> Mapping[str, Any]:
        """``audio.input``."""
        heard: Mapping[str, Any] = self.data["audio"]["input"]
        return heard

    @property
    def said(self) -> Mapping[str, Any]:
        """``audio.output``; empty where nothing is said."""
        said: Mapping[str, Any] = self.data["audio"].get("output", {})
        return said

    @property
    def text_only(self) -> bool:
        return self.data.get("output_modalities") == ["text"]

    @property
    def writes_down(self) -> bool:
        """The client wants to read what the participant says."""
        return self.heard["transcription"] is not None

    @property
    def transcription_model(self) -> str:
        return str((self.heard["transcription"] or {}).get("model") or "")

    def manner(self) -> Manner:
        """What it asks of the session."""
        turns = self.heard["turn_detection"] or {}
        written = self.heard["transcription"] or {}
        talks = self.kind == "realtime"
        return Manner(
            instructions=self.data.get("instructions") or None,
            tools=tool_infos(self.data.get("tools", [])),
            options=options(self.data.get("tool_choice", "auto"), self.data.get("max_output_tokens", "inf")),
            answers=talks and turns.get("create_response", False),
            interrupts=talks and turns.get("interrupt_response", False),
            detects=bool(turns),
            text_only=self.text_only,
            idle=(turns.get("idle_timeout_ms") or 0) / 1000,
            language=_language(written),
            hot_words=_hot_words(written),
            settings=_waits(turns),
        )


def options(tool_choice: Any, max_output_tokens: Any) -> ReplyOptions:
    """What is wanted of the language model, from fields that were checked."""
    longest = max_output_tokens if isinstance(max_output_tokens, int) else 0
    if isinstance(tool_choice, Mapping):
        return ReplyOptions(longest, tool=str(tool_choice["name"]), usage=True)
    choice: Any = tool_choice
    return ReplyOptions(longest, tool_choice=choice, usage=True)


def _waits(turns: Mapping[str, Any]) -> dict[str, float | int | bool | str]:
    if turns.get("type") == "server_vad":
        silence, threshold = turns["silence_duration_ms"] / 1000, turns["threshold"]
        names = ("min_delay", "delay", "doubtful_delay", "max_delay")
        return {
            **{f"endpointing.{name}": max(0.1, silence) for name in names},
            "endpointing.semantic": False,
            "endpointing.adaptive": False,
            "segmenter.start_threshold": min(0.95, max(0.05, threshold)),
            "segmenter.stop_threshold": min(0.35, max(0.01, 0.7 * threshold)),
            "segmenter.pre_roll": turns["prefix_padding_ms"] / 1000,
        }
    eagerness = turns.get("eagerness", "auto")
    return {f"endpointing.{name}": value for name, value in _WAITS.get(eagerness, {}).items()}


# --- fields --------------------------------------------------------------------------------


def modalities(value: Any, where: str) -> list[str]:
    """``["audio"]`` or ``["text"]``."""
    if value not in (["audio"], ["text"]):
        raise ClientError(f'{where} must be ["audio"] or ["text"].', param=where)
    return list(value)


def instructions(value: Any, where: str) -> str:
    """A text that is not too long."""
    if not isinstance(value, str):
        raise ClientError(f"{where} must be a text.", "invalid_type", where)
    if len(value) > LONGEST_INSTRUCTIONS:
        message = f"{where} has {len(value)} characters; at most {LONGEST_INSTRUCTIONS} are taken."
        raise ClientError(message, param=where)
    return value


def session_tools(value: Any, where: str) -> list[dict[str, Any]]:
    """Functions of the client's, and MCP servers."""
    return tools(value, where, mcp=True)


def tools(value: Any, where: str, *, mcp: bool = False) -> list[dict[str, Any]]:
    """Functions of the client's; ``mcp``: among them MCP servers."""
    if not isinstance(value, list):
        raise ClientError(f"{where} must be a list.", "invalid_type", where)
    if len(value) > MOST_TOOLS:
        raise ClientError(f"{where} has {len(value)} tools; at most {MOST_TOOLS} are taken.", param=where)
    read: list[dict[str, Any]] = []
    names: set[str] = set()
    labels: set[str] = set()
    for index, tool in enumerate(value):
        path = f"{where}[{index}]"
        data = fields.objects(tool, path)
        if data.get("type", "function") == "mcp":
            if not mcp:
                message = "MCP servers belong to a session; name them by session.update."
                raise ClientError(message, param=f"{path}.type")
            server = read_server(data, path)
            if server["server_label"] in labels:
                raise ClientError(f"There are two servers called {server['server_label']!r}.", param=path)
            labels.add(server["server_label"])
            if len(labels) > MOST_SERVERS:
                raise ClientError(f"A session has at most {MOST_SERVERS} MCP servers.", param=where)
            read.append(server)
            continue
        fields.one_of(data.get("type", "function"), ("function",), f"{path}.type")
        name = fields.text(data, "name", f"{path}.")
        parameters = fields.objects(
            data.get("parameters") or {"type": "object", "properties": {}}, f"{path}.parameters"
        )
        made = {
            "type": "function",
            "name": name,
            "description": fields.text(data, "description", f"{path}.", ""),
            "parameters": parameters,
        }
        if fault := fault_of(parameters):
            raise ClientError(f"{path}.parameters is no JSON schema: {fault}.", param=f"{path}.parameters")
        try:
            _tool(made)
        except ValueError as error:
            raise ClientError(f"{error}.", param=f"{path}.name") from None
        if name in names:
            raise ClientError(f"There are two tools called {name!r}.", param=f"{path}.name")
        names.add(name)
        read.append(made)
    return read


def tool_infos(read: list[dict[str, Any]]) -> tuple[ToolInfo, ...]:
    """The same for a session."""
    return tuple(_tool(tool) for tool in read if tool["type"] == "function")


def _tool(tool: Mapping[str, Any]) -> ToolInfo:
    return ToolInfo(tool["name"], tool["description"], tool["parameters"], timeout=PATIENCE, filler_after=0)


def tool_choice(value: Any, where: str) -> str | dict[str, Any]:
    """A word, or the one function that has to be called."""
    if isinstance(value, dict):
        fields.one_of(value.get("type"), ("function",), f"{where}.type")
        name = fields.text(value, "name", f"{where}.")
        if not is_tool_name(name):
            raise ClientError(f"{where}.name is not the name of a function.", param=f"{where}.name")
        return {"type": "function", "name": name}
    return fields.one_of(value, ("auto", "none", "required"), where)


def max_output_tokens(value: Any, where: str) -> int | str:
    """A number, or "inf"."""
    path, dot, name = where.rpartition(".")
    return "inf" if value == "inf" else fields.whole({name: value}, name, 1, 100_000, path + dot)


_SHAPES: dict[str, type] = {"include": list, "parallel_tool_calls": bool}
"""Of what is known and does nothing here; all else is an object, or one of these words."""
_WORDS = {"truncation": ("auto", "disabled"), "tracing": ("auto",)}


def _without_effect(value: Any, where: str) -> Any:
    """Read back as it came, and so it has to be short."""
    name = where.rpartition(".")[2]
    if isinstance(value, str) and name in _WORDS:
        return fields.one_of(value, _WORDS[name], where)
    if not isinstance(value, _SHAPES.get(name, dict)):
        raise ClientError(f"{where} has another shape.", "invalid_type", where)
    if len(json.dumps(value)) > LONGEST_WITHOUT_EFFECT:
        message = f"{where} has no effect here, and at most {LONGEST_WITHOUT_EFFECT} characters."
        raise ClientError(message, param=where)
    return value


_FIELDS: dict[str, Any] = {
    "output_modalities": modalities,
    "instructions": instructions,
    "tools": session_tools,
    "tool_choice": tool_choice,
    "max_output_tokens": max_output_tokens,
    "truncation": _without_effect,
    "tracing": _without_effect,
}


def _audio(value: Any, known: dict[str, Any], kind: Kind) -> dict[str, Any]:
    new, audio = fields.objects(value, "session.audio"), dict(known)
    fields.known(new, ("input", "output") if kind == "realtime" else ("input",), "session.audio.")
    if new.get("input") is not None:
        audio["input"] = _input(new["input"], audio["input"])
    if new.get("output") is not None:
        audio["output"] = output(new["output"], audio["output"], "session.audio.output")
    return audio


def _input(value: Any, known: dict[str, Any]) -> dict[str, Any]:
    where = "session.audio.input"
    new, heard = fields.objects(value, where), dict(known)
    fields.known(new, _INPUT, f"{where}.")
    if new.get("format") is not None:
        heard["format"] = sound(new["format"], f"{where}.format")
    for name, read in (
        ("transcription", _transcription), ("noise_reduction", _without_effect), ("turn_detection", _turns),
    ):  # fmt: skip
        if name in new:
            heard[name] = None if new[name] is None else read(new[name], f"{where}.{name}")
    return heard


def output(value: Any, known: dict[str, Any], where: str) -> dict[str, Any]:
    """``audio.output`` with what a client says merged in."""
    new, said = fields.objects(value, where), dict(known)
    fields.known(new, _OUTPUT, f"{where}.")
    if new.get("format") is not None:
        said["format"] = sound(new["format"], f"{where}.format")
    if new.get("voice") is not None:
        voice = new["voice"]
        said["voice"] = fields.text(voice, "id", f"{where}.voice.") if isinstance(voice, dict) else voice
        if not isinstance(said["voice"], str):
            raise ClientError(
                f"{where}.voice must be a name, or an object with an id.", "invalid_type", f"{where}.voice"
            )
        if len(said["voice"]) > LONGEST_NAME:
            raise ClientError(f"{where}.voice has at most {LONGEST_NAME} characters.", param=f"{where}.voice")
    if new.get("speed") is not None:
        said["speed"] = float(fields.number(new, "speed", 0.25, 4.0, f"{where}."))
    return said


def sound(value: Any, where: str) -> dict[str, Any]:
    """A format of audio."""
    data = fields.objects(value, where)
    kind = fields.one_of(data.get("type"), tuple(FORMATS), f"{where}.type")
    if kind == "audio/pcm" and data.get("rate") not in (None, 24_000):
        raise ClientError(f"{where}.rate must be 24000.", param=f"{where}.rate")
    return dict(FORMATS[kind])


def _transcription(value: Any, where: str) -> dict[str, Any]:
    data = fields.objects(value, where)
    fields.known(data, _TRANSCRIPTION, f"{where}.")
    named = (name for name in ("model", "language", "prompt") if data.get(name))
    kept: dict[str, Any] = {name: fields.text(data, name, f"{where}.") for name in named}
    for name, longest in (("model", LONGEST_NAME), ("language", 64), ("prompt", LONGEST_PROMPT)):
        if len(kept.get(name, "")) > longest:
            raise ClientError(f"{where}.{name} has at most {longest} characters.", param=f"{where}.{name}")
    for name, most, longest in (("keywords", MOST, LONGEST), ("languages", MOST, 64)):
        if data.get(name):
            kept[name] = _texts(data[name], most, longest, f"{where}.{name}")
    if data.get("delay") is not None:
        kept["delay"] = fields.one_of(data["delay"], _DELAYS, f"{where}.delay")
    return kept or {"model": "gpt-4o-mini-transcribe"}


def _texts(value: Any, most: int, longest: int, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ClientError(f"{where} must be a list of texts.", "invalid_type", where)
    if len(value) > most or any(len(each) > longest for each in value):
        raise ClientError(f"{where} has at most {most} texts of at most {longest} characters.", param=where)
    return list(value)


def _hot_words(written: Mapping[str, Any]) -> tuple[str, ...]:
    """Keywords are meant for nothing else, so they come first."""
    return likely((*written.get("keywords", ()), *likely_in(written.get("prompt", ""))))


def _language(written: Mapping[str, Any]) -> str:
    """The one that is spoken; of several that may be, none."""
    several = written.get("languages", ())
    return str(written.get("language") or (several[0] if len(several) == 1 else ""))


def _turns(value: Any, where: str) -> dict[str, Any]:
    data, path = fields.objects(value, where), f"{where}."
    kind = fields.one_of(data.get("type", "server_vad"), ("server_vad", "semantic_vad"), f"{path}type")
    default = _SERVER if kind == "server_vad" else _SEMANTIC
    fields.known({name: value for name, value in data.items() if value is not None}, default, path)
    read: dict[str, Any] = {"type": kind}
    if kind == "semantic_vad":
        read["eagerness"] = fields.one_of(data.get("eagerness") or "auto", _EAGERNESS, f"{path}eagerness")
    else:
        given = {name: default[name] if data.get(name) is None else data[name] for name in default}
        read["threshold"] = float(fields.number(given, "threshold", 0, 1, path))
        read["prefix_padding_ms"] = fields.whole(given, "prefix_padding_ms", 0, 2_000, path)
        read["silence_duration_ms"] = fields.whole(given, "silence_duration_ms", 50, 5_000, path)
        idle = given["idle_timeout_ms"]
        read["idle_timeout_ms"] = None if idle is None else fields.whole(given, "idle_timeout_ms", 1_000, 600_000, path)
    for name in ("create_response", "interrupt_response"):
        read[name] = fields.flag(data, name, True, path)
    return read
