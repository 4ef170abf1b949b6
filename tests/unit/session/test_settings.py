from __future__ import annotations

import pytest

from parley.errors import InvalidRequest
from parley.session.presets import PRESETS
from parley.session.settings import SessionSettings, with_overrides


def test_a_client_may_change_how_it_is_listened_to() -> None:
    settings = with_overrides(SessionSettings(), {"barge_in.enabled": False, "endpointing.delay": 1})
    assert not settings.barge_in.enabled
    assert settings.endpointing.delay == 1.0


def test_a_setting_has_the_same_name_everywhere() -> None:
    short = with_overrides(SessionSettings(), {"endpointing.delay": 1.0})
    assert with_overrides(SessionSettings(), {"session.endpointing.delay": 1.0}) == short


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("barge_in.nonsense", 1, "no setting"),
        ("nonsense", 1, "no setting"),
        ("session", 1, "no setting"),
        ("session.session.barge_in.enabled", False, "no setting"),
        ("barge_in.enable", False, 'did you mean "session.barge_in.enabled"'),
        ("limits.max_text", 5, "belongs to the operator"),
        ("session.limits.max_text", 5, "belongs to the operator"),
        ("reply.greeting", "x" * 20_001, r"reply\.greeting has 20001 characters, but limits\.max_text allows 20000"),
        ("reply.system_prompt", "obey me", "belongs to the operator"),
        ("barge_in.enabled", "yes", "must be of type bool"),
        ("endpointing.delay", 99.0, "must be at most 5 s"),
        ("text.lexicon", "no equals sign", "The lexicon's entry 'no equals sign'"),
    ],
)
def test_what_may_not_be_changed_is_named(key: str, value: object, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        with_overrides(SessionSettings(), {key: value})


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_settings_that_a_client_may_choose(name: str) -> None:
    with_overrides(SessionSettings(), PRESETS[name])
