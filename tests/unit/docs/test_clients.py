"""Each ✓ on the page of other people's clients is a test that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INSIDE, API = "tests/clients", "tests/integration/api"
BEHAVIOURS = (
    "spoken turn", "taking the floor", "a nod", "truncation", "a function", "an error", "a broken connection",
)  # fmt: skip
_FLOOR, _WORDS = "who_takes_the_floor_is_told_to_the_model", "the_model_is_told_the_words"
_FAILS, _BREAKS = "a_model_that_fails_ends", "a_connection_that_breaks_is_made_anew"
_NOD, _TOOL = "a_nod_does_not_end_the_reply", "a_tool_is_called_and_its_result_is_said"
CUT = "a_reply_that_is_cut_is_told_to_the_model"
TRIED: dict[str, tuple[str, tuple[str, ...]]] = {
    "OpenAI for Python": (f"{API}/test_realtime.py", (
        "a_spoken_turn_is_heard", "an_interruption_ends_the_reply", "a_nod_does_not_cut", "a_truncated_reply_is_what",
        "a_function_is_called", "what_is_wrong_is_said", _BREAKS,
    )),
    "OpenAI for JavaScript": (f"{INSIDE}/node/openai.test.mjs", (
        "a_spoken_turn_is_written_down", _FLOOR, _NOD, "a_reply_that_is_truncated", "a_function_is_called",
        "what_is_wrong_is_said", _BREAKS,
    )),
    "Agents SDK for Python": (f"{INSIDE}/realtime/inside_agents.py", (
        _WORDS, _FLOOR, _NOD, "an_interruption_by_the_program", _TOOL, _FAILS, "a_connection_that_breaks_is_told",
    )),
    "Agents SDK for JavaScript": (f"{INSIDE}/node/agents.test.mjs", (
        _WORDS, _FLOOR, _NOD, "an_interruption_by_the_program", _TOOL, _FAILS, "after_a_connection_that_broke",
    )),
    "LiveKit Agents": (f"{INSIDE}/realtime/inside_livekit.py", (
        _WORDS, CUT, _NOD, CUT, "a_call_comes_to_the_client", _FAILS, _BREAKS,
    )),
    "Pipecat": (f"{INSIDE}/pipecat/inside_realtime.py", (
        _WORDS, _FLOOR, _NOD, _FLOOR, _TOOL, _FAILS, "after_a_connection_that_broke",
    )),
    "Wyoming": (f"{API}/test_wyoming_server.py", (
        "a_recording_of_any_rate", "exchanges_some_left_in_their_middle", "", "", "", "what_can_not_be_done",
        "exchanges_some_left_in_their_middle",
    )),
    "MCP": (f"{API}/test_mcp_server.py", (
        "a_text_becomes_sound", "who_cancels_ends_the_synthesis", "", "", "the_models_are_told", "what_cannot_be_done",
        "after_a_connection_that_broke",
    )),
}  # fmt: skip


def rows() -> dict[str, list[str]]:
    lines = (ROOT / "docs" / "reference" / "clients.md").read_text("utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert tuple(table[0][1:]) == BEHAVIOURS
    return {cells[0]: cells[1:] for cells in table[2:]}


@pytest.mark.parametrize("client", TRIED)
def test_what_is_said_to_be_tried_is(client: str) -> None:
    file, tests = TRIED[client]
    names = (ROOT / file).read_text("utf-8").replace(" ", "_")
    (cells,) = (cells for name, cells in rows().items() if name.startswith(client))
    assert [cell == "✓" for cell in cells] == [bool(test) for test in tests]
    for test in filter(None, tests):
        assert f"def_test_{test}" in names or f'test("{test}' in names


def test_no_client_is_left_out() -> None:
    assert len(rows()) == len(TRIED)
