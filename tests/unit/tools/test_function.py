"""A function under ``@tool`` is a tool: told by its name, docstring and hints, called with what fits them."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from parley.errors import ConfigError, InvalidRequest
from parley.tools import Tool, tool
from parley.tools.function import tools_of

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    city: str
    country: str = "Italy"


@tool(effect="read", timeout=3)
async def weather(
    place: Place, days: Annotated[int, Field(ge=1, le=7)] = 1, unit: Literal["C", "F"] = "C"
) -> dict[str, object]:
    """What the weather will be.

    Ask for it whenever somebody plans to go out.
    """
    return {"city": place.city, "country": place.country, "days": days, "unit": unit}


def test_a_model_is_told_its_name_docstring_and_types() -> None:
    info = weather.info
    assert (info.name, info.effect, info.timeout) == ("weather", "read", 3)
    assert info.description == "What the weather will be.\n\nAsk for it whenever somebody plans to go out."
    properties = info.parameters["properties"]
    assert info.parameters["required"] == ["place"]
    assert properties["days"] == {"default": 1, "maximum": 7, "minimum": 1, "type": "integer"}
    assert properties["unit"]["enum"] == ["C", "F"]


async def test_it_is_called_with_values_of_its_types() -> None:
    assert await weather.run({"place": {"city": "Rome"}, "days": 2}, "k") == (
        '{"city":"Rome","country":"Italy","days":2,"unit":"C"}'
    )


async def test_what_its_types_do_not_allow_is_said() -> None:
    with pytest.raises(InvalidRequest, match='"days" is wrong: Input should be less than or equal to 7'):
        await weather.run({"place": {"city": "Rome"}, "days": 9}, "k")


async def test_a_function_without_async_runs_in_a_thread_and_its_error_is_raised_here() -> None:
    @tool
    def where(fail: bool = False) -> str:
        if fail:
            raise LookupError("nowhere")
        return threading.current_thread().name

    assert where.info.effect == "write"  # who says nothing is careful
    assert await where.run({}, "k") == "tool"
    with pytest.raises(LookupError):
        await where.run({"fail": True}, "k")


async def test_a_function_that_hangs_keeps_its_thread_and_nothing_else() -> None:
    gate = threading.Event()

    @tool
    def hang() -> str:
        gate.wait()
        return "at last"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await hang.run({}, "k")
    gate.set()


@pytest.mark.parametrize(
    ("contract", "told"),
    [
        ({"name": "a b"}, "cannot be called"),
        ({"timeout": 0}, "above 0 s"),
        ({"effect": "read", "confirm": True}, "nothing to confirm"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(contract: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tool(**{"name": "look", **contract})(lambda: "")  # type: ignore[call-overload]


def test_a_function_of_any_number_of_arguments_is_no_tool() -> None:
    with pytest.raises(TypeError, match="named parameters alone"):

        @tool
        def many(*numbers: int) -> str:
            return ""


def test_the_tools_of_a_module_are_those_under_the_decorator() -> None:
    assert all(isinstance(found, Tool) for found in tools_of("parley.tools.builtin"))
    with pytest.raises(ConfigError, match="holds no function"):
        tools_of("json")
    with pytest.raises(ConfigError, match="cannot be imported"):
        tools_of("there.is.no.such.module")
