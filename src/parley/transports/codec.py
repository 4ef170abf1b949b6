"""Messages as JSON: the one place where a dataclass meets the wire.

``encode`` writes any message; ``decode_client`` and ``decode_server`` read one and are strict:
an unknown type, a missing, unknown or wrongly typed field raises InvalidRequest with one sentence
that names it. Nothing is coerced, except that a whole number may stand for a float.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from parley import messages
from parley.errors import InvalidRequest
from parley.messages import PROTOCOL_VERSION, PlayoutReport, SayDelta, SetVoice, StartSession, TextInput

if TYPE_CHECKING:
    from parley.messages import ClientMessage, ServerMessage
    from parley.values import Voice

MICROPHONE_RATES = (16_000, 48_000)
"""Hz that a microphone may have."""

Reader = Callable[[Any], Any]
"""Takes a JSON value, returns the field's value, or raises _Mismatch."""


class _Mismatch(Exception):
    """A value is not what its field wants; the text says what would be."""


def encode(message: ClientMessage | ServerMessage) -> str:
    """One message as a JSON object, its ``type`` first."""
    body: dict[str, Any] = {"type": message.type}
    for name in _field_names(cast("Hashable", type(message))):
        value = getattr(message, name)
        body[name] = _plain(value)
    return json.dumps(body, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """A field as JSON knows it: nested dataclasses become objects."""
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return value
    # dataclasses.asdict copies deeply, which costs more than all the rest
    return {name: _plain(getattr(value, name)) for name in _field_names(cast("Hashable", type(value)))}


def decode_client(text: str) -> ClientMessage:
    """Read what a client sent; InvalidRequest says what is wrong with it."""
    message = cast("ClientMessage", _decode(text, _client_types()))
    check = _CHECKS.get(type(message))
    if check is not None:
        check(message)
    return message


def decode_server(text: str) -> ServerMessage:
    """Read what the orchestrator sent; InvalidRequest says what is wrong with it."""
    return cast("ServerMessage", _decode(text, _server_types()))


def _decode(text: str, known: Mapping[str, type[Any]]) -> object:
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("A text message must be one JSON object; this one is not valid JSON.") from error
    if not isinstance(body, dict):
        raise InvalidRequest(f"A message must be a JSON object, not {_kind(body)}.")
    name = body.pop("type", None)
    if not isinstance(name, str):
        raise InvalidRequest('A message must say what it is in a string field "type".')
    cls = known.get(name)
    if cls is None:
        raise InvalidRequest(f"There is no message type {_quote(name)}; known are {', '.join(known)}.")
    try:
        return _build(cls, body)
    except _Mismatch as error:
        raise InvalidRequest(f'Message "{name}": {error}.') from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


@cache
def _client_types() -> dict[str, type[Any]]:
    return {cls.type: cls for cls in get_args(messages.ClientMessage)}


@cache
def _server_types() -> dict[str, type[Any]]:
    return {cls.type: cls for cls in get_args(messages.ServerMessage)}


@cache
def _field_names(cls: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cast("type[Any]", cls)))


@cache
def _readers(cls: Hashable) -> dict[str, tuple[Reader, bool]]:
    """For each field of a dataclass its reader and whether it must be there."""
    hints = get_type_hints(cast("type[Any]", cls))
    return {
        field.name: (
            _reader_of(cls, field.name, hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in dataclasses.fields(cast("type[Any]", cls))
    }


def _build(cls: type[Any], body: dict[str, Any]) -> object:
    readers = _readers(cast("Hashable", cls))
    values: dict[str, Any] = {}
    for name, value in body.items():
        entry = readers.get(name)
        if entry is None:
            known = ", ".join(readers) or "none"
            raise _Mismatch(f"there is no field {_quote(name)} (its fields: {known})")
        try:
            values[name] = entry[0](value)
        except _Mismatch as error:
            raise _Mismatch(f'field "{name}" {error}') from None
    for name, (_, required) in readers.items():
        if required and name not in values:
            raise _Mismatch(f'field "{name}" is missing')
    return cls(**values)


def _reader_of(cls: Hashable, name: str, hint: Any) -> Reader:
    return _read_words if (cls, name) in _SPOKEN else _reader(hint)


def _reader(hint: Any) -> Reader:
    """The reader for one type hint. Only the shapes that messages use are known."""
    origin = get_origin(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is Literal:
        return _one_of(get_args(hint))
    if origin is tuple:
        return _list_of(_reader(get_args(hint)[0]))
    if origin is dict:
        return _object_of(_reader(get_args(hint)[1]))
    if origin in (Union, types.UnionType):
        return _any_of([_reader(part) for part in get_args(hint)])
    if dataclasses.is_dataclass(hint):
        return _nested(cast("type[Any]", hint))
    raise TypeError(f"no reader for fields of type {hint}")


def _check_start(message: StartSession) -> None:
    if message.protocol != PROTOCOL_VERSION:
        raise InvalidRequest(
            f"This server speaks protocol {PROTOCOL_VERSION}, not {message.protocol}; use a matching client."
        )
    if message.sample_rate not in MICROPHONE_RATES:
        raise InvalidRequest(
            f"The microphone's sample_rate must be {' or '.join(map(str, MICROPHONE_RATES))} Hz, "
            f"not {message.sample_rate}."
        )
    _check_voice(message.voice)


def _check_voice(voice: Voice) -> None:
    if not 0.25 <= voice.speed <= 4:
        raise InvalidRequest(f"A voice's speed must be between 0.25 and 4, not {voice.speed:g}.")


def _check_text(message: TextInput) -> None:
    if not message.text.strip():
        raise InvalidRequest("The text is empty; say something.")


def _check_report(message: PlayoutReport) -> None:
    if message.sample < 0:
        raise InvalidRequest("A playout report counts samples from 0; its sample cannot be negative.")


_CHECKS: dict[type[Any], Callable[[Any], None]] = {
    StartSession: _check_start,
    SetVoice: lambda message: _check_voice(message.voice),
    TextInput: _check_text,
    PlayoutReport: _check_report,
}
"""What a message's types alone do not say."""


def _read_words(value: Any) -> str:
    if not isinstance(value, str):
        raise _Mismatch(f"must be a string, not {_kind(value)}")
    return value


def _read_str(value: Any) -> str:
    text = _read_words(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Mismatch("must be valid Unicode, not half a surrogate pair") from None
    return text


def _read_int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Mismatch(f"must be a whole number, not {_kind(value)}")
    if abs(value) > 2**63 - 1:
        raise _Mismatch("is too large")
    return value


def _read_float(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _Mismatch(f"must be a number, not {_kind(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise _Mismatch("is too large") from None
    if not math.isfinite(number):
        raise _Mismatch("must be a finite number")
    return number


def _read_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Mismatch(f"must be true or false, not {_kind(value)}")
    return value


_SPOKEN = frozenset({(SayDelta, "text"), (TextInput, "text")})
"""Deltas may end in the middle of a character: the session joins the halves."""
_SCALARS: dict[Any, Reader] = {str: _read_str, int: _read_int, float: _read_float, bool: _read_bool}


def _one_of(choices: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if value not in choices:
            raise _Mismatch(f"must be one of {', '.join(map(str, choices))}")
        return value

    return read


def _list_of(item: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _Mismatch(f"must be a list, not {_kind(value)}")
        return tuple(item(part) for part in value)

    return read


def _object_of(item: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Mismatch(f"must be an object, not {_kind(value)}")
        return {key: item(part) for key, part in value.items()}

    return read


def _any_of(options: list[Reader]) -> Reader:
    # Whole numbers stay whole: the exact readers are asked before the lenient one of floats.
    ordered = sorted(options, key=lambda option: option is _read_float)

    def read(value: Any) -> Any:
        for option in ordered:
            try:
                return option(value)
            except _Mismatch:
                continue
        raise _Mismatch(f"does not take {_kind(value)}")

    return read


def _nested(cls: type[Any]) -> Reader:
    def read(value: Any) -> object:
        if not isinstance(value, dict):
            raise _Mismatch(f"must be an object, not {_kind(value)}")
        return _build(cls, value)

    return read


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")


def _quote(text: str) -> str:
    """A stranger's word, short and printable enough for an error sentence."""
    return json.dumps(text if len(text) <= 40 else text[:40] + "...")
