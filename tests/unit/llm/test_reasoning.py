"""Not a word of reasoning is said, however it is marked and however it is cut into deltas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.llm.reasoning import Spoken

SECRET = "SECRET"
MARKED = {
    "tag": f"<think>{SECRET}</think>Hello.",
    "lines": f"<think>\n{SECRET}\n</think>\n\nHello.",
    "capitals": f"<Think>{SECRET}</THINK>Hello.",
    "longer tag": f"<thinking>{SECRET}</thinking>Hello.",
    "thought": f"<thought>{SECRET}</thought>Hello.",
    "other closing tag": f"<think>{SECRET}</thinking>Hello.",
    "brackets": f"[THINK]{SECRET}[/THINK]Hello.",
    "triangles": f"◁think▷{SECRET}◁/think▷Hello.",
    "tokens": f"<|begin_of_thought|>{SECRET}<|end_of_thought|>Hello.",
    "nested": f"<think>{SECRET}<think>{SECRET}</think>{SECRET}</think>Hello.",
    "doubled": f"<think>\n<think>{SECRET}</think>Hello.",
    "nested in another": f"<reasoning>{SECRET}<think>{SECRET}</think>{SECRET}</reasoning>Hello.",
    "in the middle": f"Hel<think>{SECRET}</think>lo.",
    "channels": (
        f"<|channel|>analysis<|message|>{SECRET}<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>"
    ),
    "channels with a tool": (
        f"<|channel|>analysis<|message|>{SECRET}<|end|><|start|>assistant<|channel|>commentary to=functions.x "
        f"<|constrain|>json<|message|>{SECRET}<|call|><|start|>assistant<|channel|>final<|message|>Hello."
    ),
    "final channel alone": "<|channel|>final<|message|>Hello.",
    "another family's channel": f"<|channel>thought\n{SECRET}<channel|>Hello.",
    "nothing marked": "Hello.",
}


def said(deltas: list[str], *, inside: bool = False) -> str:
    spoken = Spoken(inside=inside)
    return "".join([*(spoken.add(delta) for delta in deltas), spoken.finish()])


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("kind", MARKED)
@given(places=st.lists(st.integers(0, 1000), max_size=40))
def test_reasoning_is_not_said_wherever_the_deltas_are_cut(kind: str, places: list[int]) -> None:
    assert said(cut(MARKED[kind], places)) == "Hello."


@pytest.mark.parametrize("kind", MARKED)
def test_reasoning_is_not_said_character_by_character(kind: str) -> None:
    assert said(list(MARKED[kind])) == "Hello."


@pytest.mark.parametrize(
    "opening", ["<think>", "<thinking>", "[THINK]", "<|channel|>analysis<|message|>", "<|channel|>analysis"]
)
@given(places=st.lists(st.integers(0, 1000), max_size=10))
def test_reasoning_that_is_never_closed_is_never_said(opening: str, places: list[int]) -> None:
    assert said(cut(f"{opening}{SECRET} and more", places)) == ""


@given(st.lists(st.text(alphabet="<>/[]|thinkTHINK abc◁▷", max_size=12), max_size=12))
def test_text_without_marks_is_said_whole(deltas: list[str]) -> None:
    text = "".join(deltas)
    lowered = text.lower()
    if not any(mark in lowered for mark in ("<think>", "</think>", "[think]", "[/think]", "◁think▷", "◁/think▷")):
        assert said(deltas) == text.lstrip()


@given(
    st.recursive(
        st.just(SECRET), lambda inner: st.lists(inner, max_size=3).map(lambda it: f"<think>x{''.join(it)}y</think>")
    )
)
def test_reasoning_inside_reasoning_is_not_said(nested: str) -> None:
    assert said(list(f"<think>.{nested}</think>Hello.")) == "Hello."


def test_reasoning_that_the_template_has_opened_is_not_said() -> None:
    assert said([SECRET, "</thi", "nk>\n\n", "Hello."], inside=True) == "Hello."
    assert said(["<think>", SECRET, "</think>", "Hello."], inside=True) == "Hello."


def test_what_can_be_said_is_said_at_once() -> None:
    spoken = Spoken()
    assert spoken.add("One, two") == "One, two"
    assert spoken.add(" <thi") == " "
    assert spoken.thinking is False
    assert spoken.add("s one") == "<this one"
    assert spoken.add("<think>") == ""
    assert spoken.thinking


def test_a_closing_mark_that_nobody_has_opened_is_noticed() -> None:
    spoken = Spoken()
    assert spoken.add("Hm.</think>Hello.") == "Hm.Hello."
    assert spoken.unopened
