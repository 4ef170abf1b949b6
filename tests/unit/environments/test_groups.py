"""What is decided about environments of engines: table by table, without a file."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from parley.environments import groups
from parley.environments.groups import Family, Group, Interpreter, Label, State, Work
from parley.environments.shelf import LISTS

ONE = Group(
    "one", (Family("xtts", "voice", "MPL-2.0"), Family("csm", "voice", "Apache-2.0")), ("a==1", "b==2"), "a", 90
)
TWO = Group("two", (Family("parler", "voice", "Apache-2.0"),), ("c==3",), "c", 70, cuda_mb=50, python=(3, 12))
HERE = Label("one", listed="l1", child="c1", python="3.11", torch="2.8.0+cu128", cuda=True)
LISTED = """\
# needs: torch==2.8.0, numpy
# python: 3.11
# download: 4200
# without cuda: 1100
numpy==2.4.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
nvidia-cublas-cu12==12.8 ; platform_machine == 'x86_64' and sys_platform == 'linux' \\
    --hash=sha256:cc
torch==2.8.0 ; sys_platform == 'linux' \\
    --hash=sha256:dd
torchmetrics==1.9.0 \\
    --hash=sha256:ee
triton==3.4.0 ; sys_platform == 'linux' \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize(("name", "found"), [("one", ONE), ("csm", ONE), ("parler", TWO), ("piper", None), ("", None)])
def test_a_group_is_found_by_its_name_and_by_its_families(name: str, found: Group | None) -> None:
    assert groups.find(name, {"one": ONE, "two": TWO}) is found


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        ([], (3, 11), ""),
        (["3.10.9", "3.12.1"], (3, 11), ""),
        (["3.11.2", "3.11.7", "3.12.1"], (3, 11), "3.11.7"),
        (["3.12.1", "3.13.0"], (3, 12), "3.12.1"),
        (["3.1.1"], (3, 11), ""),
    ],
)
def test_the_newest_interpreter_that_fits_is_taken(there: list[str], wanted: tuple[int, ...], taken: str) -> None:
    found = groups.fitting([Interpreter(text, tuple(map(int, text.split(".")))) for text in there], wanted)
    assert (found.path if found else "") == taken


def test_of_two_that_are_alike_the_first_is_taken_and_another_implementation_never() -> None:
    own, other = Interpreter("own", (3, 11, 7)), Interpreter("other", (3, 11, 7))
    assert groups.fitting([own, other], (3, 11)) is own
    assert groups.fitting([replace(own, implementation="pypy")], (3, 11)) is None


@pytest.mark.parametrize(
    ("label", "child", "listed", "interpreter", "stands", "to_do"),
    [
        (None, "c1", "l1", False, State.ABSENT, Work.ALL),
        (HERE, "c1", "l1", True, State.READY, Work.NOTHING),
        (HERE, "c1", "l2", True, State.OLD_LIST, Work.ALL),
        (HERE, "c2", "l1", True, State.OTHER_PARLEY, Work.CHILD),
        (HERE, "c2", "l2", True, State.OTHER_PARLEY, Work.ALL),
        (HERE, "c1", "l1", False, State.LOST, Work.ALL),
    ],
)
def test_how_an_environment_stands_and_the_least_that_mends_it(
    label: Label | None, child: str, listed: str, interpreter: bool, stands: State, to_do: Work
) -> None:
    assert groups.state(label, listed=listed, child=child, interpreter=interpreter) is stands
    assert groups.work(label, listed=listed, child=child, interpreter=interpreter, replace=False) is to_do
    assert groups.work(label, listed=listed, child=child, interpreter=interpreter, replace=True) is Work.ALL


@pytest.mark.parametrize(
    ("torch", "cuda", "gpu", "says"),
    [
        ("2.8.0+cu128", True, True, ""),
        ("2.8.0+cpu", False, False, ""),
        ("2.8.0+cu128", True, False, "no GPU"),
        ("2.8.0+cpu", False, True, "not used"),
        ("", False, True, ""),
    ],
)
def test_a_torch_that_does_not_fit_the_machine_is_told(torch: str, cuda: bool, gpu: bool, says: str) -> None:
    advice = groups.advice(replace(HERE, torch=torch, cuda=cuda), gpu=gpu)
    assert says in advice
    assert bool(says) == bool(advice)


def test_the_usual_torch_is_pinned_with_its_checksums() -> None:
    assert groups.packages(LISTED, torch_index=False) == groups.Packages(LISTED)


def test_a_torch_from_elsewhere_leaves_cudas_libraries_out_and_keeps_all_other_checksums() -> None:
    split = groups.packages(LISTED, torch_index=True)
    assert split.from_torch_index == ("torch==2.8.0",)
    assert re.findall(r"^[\w-]+", split.pinned, re.MULTILINE) == ["numpy", "torchmetrics"]
    assert re.findall(r"sha256:(\w+)", split.pinned) == ["aa", "bb", "ee"]


@pytest.mark.parametrize(("torch_index", "download", "disk"), [(False, 4200, 70), (True, 1100, 20)])
def test_sizes_are_known_before_anything_is_fetched(torch_index: bool, download: int, disk: int) -> None:
    assert groups.download_mb(LISTED, torch_index=torch_index) == download
    assert groups.disk_mb(TWO, torch_index=torch_index) == disk


@pytest.mark.parametrize(
    ("needs", "python", "agrees"),
    [
        (("torch==2.8.0", "numpy"), (3, 11), True),
        (("torch==2.9.0", "numpy"), (3, 11), False),
        (("torch==2.8.0", "numpy"), (3, 12), False),
    ],
)
def test_a_list_that_was_made_for_something_else_is_noticed(
    needs: tuple[str, ...], python: tuple[int, ...], agrees: bool
) -> None:
    assert groups.agrees(replace(ONE, needs=needs, python=python), LISTED) is agrees


@pytest.mark.parametrize("group", groups.GROUPS.values(), ids=lambda group: group.name)
def test_every_group_has_a_list_of_pinned_packages_with_checksums_and_no_address(group: Group) -> None:
    listed = (LISTS / f"{group.name}.txt").read_text("utf-8")
    assert groups.agrees(group, listed)
    assert "://" not in listed
    entries = [line for line in listed.splitlines() if line and not line.startswith(("#", " "))]
    assert all(re.match(r"[\w.-]+==\S+ .*\\$", line) for line in entries)
    assert all(re.search(rf"^{re.escape(line)}\n    --hash=sha256:\w{{64}}", listed, re.MULTILINE) for line in entries)


def test_no_family_belongs_to_two_groups() -> None:
    names = [family.name for group in groups.GROUPS.values() for family in group.families]
    assert len(names) == len(set(names))


def test_nothing_is_built_but_what_a_group_names() -> None:
    assert groups.not_built(LISTED, ()) == ("--no-build",)
    flags = groups.not_built(LISTED, ("torchmetrics",))
    assert set(flags[::2]) == {"--only-binary"}
    assert set(flags[1::2]) == {"numpy", "nvidia-cublas-cu12", "torch", "triton"}


@pytest.mark.parametrize("group", groups.GROUPS.values(), ids=lambda group: group.name)
def test_what_a_group_builds_stands_in_its_list(group: Group) -> None:
    listed = (LISTS / f"{group.name}.txt").read_text("utf-8")
    assert all(f"\n{name}==" in listed for name in group.sources)
