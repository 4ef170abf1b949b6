"""Settings: where they come from, which counts, and what a mistake sounds like."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from parley.config import Settings, load_settings, pages, tree
from parley.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str, name: str = "parley.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def complaint(files: list[Path], **kwargs: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(files, **{"environ": {}, **kwargs})  # type: ignore[arg-type]
    return caught.value.message


@pytest.fixture
def empty(tmp_path: Path) -> list[Path]:
    return [write(tmp_path, "")]


def test_without_anything_the_defaults_count(empty: list[Path]) -> None:
    assert load_settings(empty, environ={}) == Settings()


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    settings = load_settings([write(tmp_path, "worker:\n  models:\n    resident_cap: 3\n")], environ={})
    assert settings.worker.models.resident_cap == 3
    assert settings.worker.models.default_model == Settings().worker.models.default_model


def test_a_greeting_that_is_longer_than_any_utterance_may_be_is_told_at_the_start(tmp_path: Path) -> None:
    files = [write(tmp_path, "session: {reply: {greeting: Good morning}, limits: {max_text: 5}}")]
    assert complaint(files) == "session: reply.greeting has 12 characters, but limits.max_text allows 5."


def test_a_later_file_counts_before_an_earlier_one(tmp_path: Path) -> None:
    first = write(tmp_path, "server: {port: 1, host: a}", "first.yaml")
    second = write(tmp_path, "server: {port: 2}", "second.yaml")
    settings = load_settings([first, second], environ={})
    assert (settings.server.port, settings.server.host) == (2, "a")


def test_the_environment_counts_before_files_and_flags_before_both(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {port: 1, host: file, max_sessions: 5}")
    environ = {"PARLEY_SERVER__PORT": "2", "PARLEY_SERVER__HOST": "variable"}
    settings = load_settings([path], {"server.port": 3, "server.host": None}, environ)
    assert (settings.server.port, settings.server.host, settings.server.max_sessions) == (3, "variable", 5)


def test_a_group_whose_lines_are_all_comments_says_nothing(tmp_path: Path) -> None:
    assert load_settings([write(tmp_path, "server:\n  # port: 1\n")], environ={}) == Settings()


@pytest.mark.parametrize("text", ["a,b", " a , b ", '["a", "b"]'])
def test_a_list_may_be_written_with_commas_or_as_json(empty: list[Path], text: str) -> None:
    settings = load_settings(empty, environ={"PARLEY_SERVER__ALLOWED_ORIGINS": text})
    assert settings.server.allowed_origins == ("a", "b")


def test_a_group_with_its_own_defaults_keeps_those_that_are_not_set(tmp_path: Path) -> None:
    settings = load_settings([write(tmp_path, "routing: {edge: {prefer_resident: false}}")], environ={})
    assert settings.routing.edge.require == Settings().routing.edge.require
    assert not settings.routing.edge.prefer_resident


def test_the_files_may_be_named_in_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {port: 7}")
    assert load_settings(environ={"PARLEY_CONFIG": str(path)}).server.port == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server: {port: 99999}", ["server.port", "99999", "parley.yaml", "at most 65535"]),
        ("server: {port: many}", ["server.port", '"many"', "whole number"]),
        ("llm: {engine: magic}", ["llm.engine", "magic", "script, openai"]),
        ("server: {prt: 1}", ["server.prt", "did you mean server.port?"]),
        ("sever: {port: 1}", ["sever", "did you mean server?"]),
        ("server: 5", ["server", "5", "group"]),
        ("websocket: {idle_timeout: 0}", ["websocket.idle_timeout", "at least 1 s"]),
        ("- a", ["must hold groups"]),
        ("server: {port", ["line 1", "not YAML"]),
    ],
)
def test_a_mistake_in_a_file_is_named_with_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    message = complaint([write(tmp_path, text)])
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("kwargs", [{}, {"flags": {"server.port": 1}}, {"environ": {"PARLEY_SERVER__PORT": "1"}}])
@pytest.mark.parametrize("value", ["5", "[1]", "text"])
def test_a_group_that_is_none_is_refused_in_one_sentence_whatever_else_is_set(
    tmp_path: Path, value: str, kwargs: dict[str, object]
) -> None:
    path = write(tmp_path, f"server: {value}")
    shown = {"5": "5", "[1]": "[1]", "text": '"text"'}[value]
    assert complaint([path], **kwargs) == (
        f"server is {shown} in {path}, but it is a group: its settings stand below it, indented."
    )


def test_a_later_file_does_not_hide_a_group_that_is_none(tmp_path: Path) -> None:
    first = write(tmp_path, "worker: {models: 5}", "first.yaml")
    second = write(tmp_path, "worker: {models: {resident_cap: 2}}", "second.yaml")
    assert complaint([first, second]).startswith("worker.models is 5 in")


def test_every_mistake_is_named_each_in_a_line_of_its_own(tmp_path: Path) -> None:
    message = complaint([write(tmp_path, "server: {port: -1, max_sessions: 0}")])
    assert len(message.splitlines()) == 2


def test_a_secret_is_not_repeated_in_a_complaint(tmp_path: Path) -> None:
    assert "12345" not in complaint([write(tmp_path, "server: {api_key: 12345}")])


def test_a_mistake_in_a_variable_names_the_variable(empty: list[Path]) -> None:
    message = complaint(empty, environ={"PARLEY_SERVER__PORT": "x"})
    assert "PARLEY_SERVER__PORT" in message


def test_an_unknown_variable_is_refused_with_the_nearest_name(empty: list[Path]) -> None:
    message = complaint(empty, environ={"PARLEY_SERVER__PRT": "1"})
    assert "did you mean PARLEY_SERVER__PORT?" in message


def test_a_variable_with_one_underscore_too_few_is_refused(empty: list[Path]) -> None:
    assert "PARLEY_SERVER__PORT" in complaint(empty, environ={"PARLEY_SERVER_PORT": "1"})


def test_variables_that_are_none_of_ours_do_not_matter(empty: list[Path]) -> None:
    assert load_settings(empty, environ={"PARLEY_PORT": "tcp://10.0.0.1:80", "HOME": "/"}) == Settings()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "nowhere.yaml does not exist" in complaint([tmp_path / "nowhere.yaml"])


def test_an_unknown_flag_is_refused(empty: list[Path]) -> None:
    assert "server.port" in complaint(empty, flags={"server.prot": 1})


def test_every_field_of_every_group_is_in_the_tree() -> None:
    paths = {leaf.path for leaf in tree().leaves()}
    for group in tree().groups():
        for field in fields(group.cls):
            below = f"{group.path}.{field.name}".strip(".")
            assert below in paths or below in {other.path for other in tree().groups()}


def test_every_setting_says_its_effect_in_a_sentence() -> None:
    assert [leaf.path for leaf in tree().leaves() if not leaf.setting.doc.endswith((".", ")"))] == []


@pytest.mark.parametrize("name", pages.SAMPLES)
def test_the_sample_files_say_the_defaults(tmp_path: Path, name: str) -> None:
    assert load_settings([write(tmp_path, pages.sample(name))], environ={}) == Settings()


def test_the_reference_page_names_every_setting() -> None:
    page = pages.reference()
    missing = [leaf.path for leaf in tree().leaves() if f"| `{leaf.path.rpartition('.')[2]}` |" not in page]
    assert missing == []
