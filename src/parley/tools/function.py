"""Tools from Python: a function under ``@tool`` is one, with a schema from its type hints."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, overload

from parley.errors import CapacityError, ConfigError, InvalidRequest
from parley.values import ToolInfo

_MOST_THREADS = 16
"""Functions without ``async`` that may be at work at once, in the whole process: one that hangs keeps its thread."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model is told of a tool, and how it is done."""

    info: ToolInfo
    run: Callable[[Mapping[str, Any], str], Awaitable[str]]
    """Takes checked arguments and the idempotency key."""
    close: Callable[[], Awaitable[None]] | None = None


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    effect: Literal["read", "write"] = "write",
    timeout: float = 10.0,
    interruption: Literal["cancel", "finish"] = "cancel",
    filler_after: float = 1.5,
    confirm: bool = False,
    background: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None, /, *, name: str = "", description: str = "", **contract: Any
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function: its name, docstring and type hints are what a model is told.

    A function that only looks something up says so with ``effect="read"``: it may then run while it is still a guess
    that the participant has finished, and an interruption ends it. All others count as ones that write. Functions
    without ``async`` run in threads. Raises ValueError for a contract that contradicts itself, and TypeError for
    parameters that have no JSON schema.
    """

    def made(function: Callable[..., Any]) -> Tool:
        told = description or inspect.cleandoc(function.__doc__ or "")
        call, schema = _checked(function)
        info = ToolInfo(name or function.__name__, told, schema, **contract)
        return Tool(info, call)

    return made if function is None else made(function)


def tools_of(module: str) -> list[Tool]:
    """The tools that stand in a module. Raises ConfigError when it cannot be imported, or holds none."""
    try:
        known = vars(import_module(module))
    except Exception as error:  # somebody else's code: a module may raise anything while it is imported
        raise ConfigError(f'tools.python: the module "{module}" cannot be imported: {error}.') from error
    tools = [value for value in known.values() if isinstance(value, Tool)]
    if not tools:
        raise ConfigError(f'tools.python: the module "{module}" holds no function under @tool.')
    return tools


def _checked(function: Callable[..., Any]) -> tuple[Callable[[Mapping[str, Any], str], Awaitable[str]], dict[str, Any]]:
    """How to call it with a model's arguments, and their schema."""
    from pydantic import ValidationError, create_model

    hints = inspect.get_annotations(function, eval_str=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{function.__name__}: a tool takes named parameters alone, not {parameter}")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, str), default)
    model = create_model(function.__name__, **fields)
    schema = _untitled(model.model_json_schema())
    schema.setdefault("properties", {})

    async def call(arguments: Mapping[str, Any], key: str) -> str:
        try:
            checked = model.model_validate(dict(arguments))
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(map(str, wrong["loc"]))
            raise InvalidRequest(f'The argument "{where}" is wrong: {wrong["msg"]}.') from None
        given = {name: getattr(checked, name) for name in fields}
        answer = await function(**given) if inspect.iscoroutinefunction(function) else await _in_thread(function, given)
        return _told(answer)

    return call, schema


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic adds, which tell a model nothing."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name != "title" or isinstance(value, dict)}
    return {name: _untitled(value) for name, value in kept.items()}


def _told(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    from pydantic_core import to_json

    return to_json(answer, serialize_unknown=True).decode()


# --- threads ---------------------------------------------------------------------------

_busy = threading.Semaphore(_MOST_THREADS)


async def _in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Run it in a thread that nobody waits for when the process ends. Raises CapacityError when too many hang."""
    if not _busy.acquire(blocking=False):
        raise CapacityError("Too many tools are at work; try again in a moment.")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(answer: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(answer)
        else:
            done.set_exception(error)

    def work() -> None:
        answer, failure = None, None
        try:
            answer = function(**arguments)
        except Exception as error:  # noqa: BLE001  (somebody else's code: it is raised where it is waited for)
            failure = error
        finally:
            _busy.release()
        try:
            loop.call_soon_threadsafe(settle, answer, failure)
        except RuntimeError:
            return  # the loop is gone, and whoever waited with it

    threading.Thread(target=work, name="tool", daemon=True).start()
    return await done
