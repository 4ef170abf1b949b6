"""Keys of a file and tokens that are good once: what stands in a file, what each opens, and for how long."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from parley.errors import CapacityError, Forbidden, InvalidRequest, ParleyError, TooManyRequests, Unauthorized
from parley.server.keys import (
    MOST_OF_ONE,
    MOST_TOKENS,
    REMEMBERED,
    Held,
    Key,
    KeyRing,
    Tokens,
    as_entry,
    digest_of,
    learnt,
    read_keys,
    told_of,
)
from parley.values import Role

DIGEST = digest_of("pk_one")
ENTRY = {"name": "kiosk", "sha256": DIGEST, "roles": ["talk"]}
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()


def key_of(**changed: Any) -> Key:
    return read_keys({"keys": [ENTRY | changed]}, "keys.yaml")[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": 5}, "needs a name"),
        ({"name": "server.api_key"}, "as the server's own key is"),
        ({"name": "a\nb"}, "needs a name"),
        ({"sha256": "pk_one"}, r"entry 1 \(kiosk\) needs sha256: .* never the key"),
        ({"sha256": DIGEST.upper()}, "needs sha256"),
        ({"roles": []}, "needs roles: a list of some of talk, models, metrics, admin"),
        ({"roles": "talk"}, "needs roles"),
        ({"roles": ["speak"]}, "needs roles"),
        ({"expires": "soon"}, "expires must be a date or time such as 2030-01-31"),
        ({"expires": 5}, "expires must be"),
        ({"expires": "9999-12-31"}, "between the years 2000 and 9000"),
        ({"max_sessions": -1}, "max_sessions must be a whole number"),
        ({"max_sessions": True}, "max_sessions must be a whole number"),
        ({"sessions_per_minute": 1.5}, "sessions_per_minute must be a whole number"),
        ({"max_session": 3}, "has max_session, which no key has"),
    ],
)
def test_what_no_key_is_like_is_refused_with_its_file_and_place(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^keys\.yaml: entry 1") as refused:
        key_of(**changed)
    assert refused.match(said)


@pytest.mark.parametrize("data", ["keys", 5, {"keys": {}}, {"keys": "none"}, ["kiosk"]])
def test_what_is_no_list_of_keys_is_refused(data: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^keys\.yaml"):
        read_keys(data, "keys.yaml")


def test_two_keys_share_neither_name_nor_digest() -> None:
    for changed in ({"name": "other"}, {"sha256": digest_of("pk_two")}):
        with pytest.raises(InvalidRequest, match="twice"):
            read_keys([ENTRY, ENTRY | changed], "keys.yaml")


@pytest.mark.parametrize(
    ("expires", "last"),
    [
        ("2030-01-31", datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC)),
        (date(2030, 1, 31), datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2030-01-31T12:00:00", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+01:00", datetime(2030, 1, 31, 11, tzinfo=UTC)),
        (datetime(2030, 1, 31, 12, tzinfo=UTC), datetime(2030, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_key_is_good_until_its_last_day_is_over(expires: Any, last: datetime) -> None:
    ring = KeyRing((key_of(expires=expires),))
    ring.find("pk_one", last.timestamp())
    with pytest.raises(Unauthorized, match="kiosk has expired"):
        ring.find("pk_one", last.timestamp() + 1)


@pytest.mark.parametrize("held", Role)
@pytest.mark.parametrize("asked", Role)
def test_a_key_opens_what_its_roles_say_and_that_of_an_administrator_everything(held: Role, asked: Role) -> None:
    key = key_of(roles=[held.value])
    if held in (asked, Role.ADMIN):
        key.check(asked)
    else:
        with pytest.raises(Forbidden, match=f"kiosk has not the role {asked}"):
            key.check(asked)


@pytest.mark.parametrize("key", ["", "pk_two", DIGEST, "pk_öne"])
def test_another_key_opens_nothing_and_a_digest_is_no_key(key: str) -> None:
    with pytest.raises(Unauthorized, match="missing or wrong"):
        KeyRing((key_of(),), "the-servers").find(key, NOON)


def test_the_servers_own_key_opens_everything_beside_the_file() -> None:
    ring = KeyRing((key_of(),), "the-servers")
    key = ring.find("the-servers", NOON)
    assert key.name == "server.api_key"
    for role in Role:
        key.check(role)


def test_a_key_is_read_as_it_was_written_and_told_to_another_process_as_it_is() -> None:
    for key in (key_of(), key_of(expires="2030-01-31T12:00:00", max_sessions=2, sessions_per_minute=9, roles=[*Role])):
        assert read_keys([as_entry(key)], "keys.yaml") == (key,)
        assert learnt(told_of(key)) == key
    own = KeyRing((), "the-servers").find("the-servers", NOON)
    assert learnt(told_of(own)) == own


def test_no_more_conversations_at_a_time_than_a_key_may_hold() -> None:
    held, key = Held(), key_of(max_sessions=2)
    held.begin(key, 0.0)
    held.begin(key, 0.0)
    with pytest.raises(TooManyRequests, match="kiosk may hold 2 conversations"):
        held.begin(key, 0.0)
    held.begin(key_of(name="other", max_sessions=1), 0.0)
    held.end(key)
    held.begin(key, 0.0)


def test_no_more_conversations_a_minute_than_a_key_may_begin_and_when_there_will_be_room() -> None:
    held, key = Held(), key_of(sessions_per_minute=2)
    for now in (0.0, 50.0):
        held.begin(key, now)
        held.end(key)
    with pytest.raises(TooManyRequests, match="2 conversations a minute") as refused:
        held.begin(key, 55.0)
    assert refused.value.retry_after == pytest.approx(5.0)
    held.begin(key, 60.0)


def test_a_token_opens_one_conversation_and_goes_on_with_that_one() -> None:
    tokens, key = Tokens(), key_of()
    tokens.add("t", key, 60.0, 0.0)
    assert tokens.find("t", 59.0) is key
    tokens.open("t", "first", "", 59.0)
    for goes_on in ("", "another"):
        with pytest.raises(Unauthorized, match="has opened a conversation already"):
            tokens.open("t", "second", goes_on, 60.0)
    tokens.open("t", "second", "first", 61.0)
    tokens.open("t", "third", "second", 61.0 + REMEMBERED - 1)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.open("t", "fourth", "third", 61.0 + 2 * REMEMBERED)


@pytest.mark.parametrize("now", [60.0, 1e9])
def test_a_token_that_nobody_used_in_its_time_opens_nothing(now: float) -> None:
    tokens = Tokens()
    tokens.add("t", key_of(), 60.0, 0.0)
    assert tokens.find("t", now) is None
    with pytest.raises(Unauthorized, match="not known here, or has expired"):
        tokens.open("t", "first", "", now)


def test_of_two_processes_that_use_a_token_at_a_time_none_lets_in_both() -> None:
    here, there = Tokens(), Tokens()
    for tokens in (here, there):
        tokens.add("t", key_of(), 60.0, 0.0)
        tokens.open("t", f"at {id(tokens)}", "", 1.0)
    for tokens in (here, there):
        with pytest.raises(ParleyError, match="already"):
            tokens.opened_elsewhere("t", "elsewhere", "", 1.0)


def test_a_token_that_was_used_elsewhere_is_used_here_and_goes_on_here() -> None:
    tokens = Tokens()
    tokens.add("t", key_of(), 60.0, 0.0)
    tokens.opened_elsewhere("t", "first", "", 1.0)
    with pytest.raises(Unauthorized, match="already"):
        tokens.open("t", "second", "", 2.0)
    tokens.open("t", "second", "first", 2.0)
    tokens.opened_elsewhere("never heard of", "third", "", 2.0)


def test_a_client_that_was_not_told_how_its_conversation_is_called_now_goes_on_by_the_name_it_knows() -> None:
    tokens = Tokens()
    tokens.add("t", key_of(), 60.0, 0.0)
    tokens.open("t", "first", "", 1.0)
    for number in range(3):  # each is lost before its client hears of it
        tokens.open("t", f"another {number}", "first", 2.0)


def test_a_conversation_that_does_not_begin_leaves_its_token_as_it_was() -> None:
    tokens = Tokens()
    tokens.add("t", key_of(), 60.0, 0.0)
    tokens.open("t", "first", "", 1.0)
    tokens.undo("t", "first")
    tokens.open("t", "second", "", 1.0)
    tokens.undo("t", "first")  # of somebody else, and long over
    tokens.open("t", "third", "second", 1.0)
    tokens.undo("t", "third")
    with pytest.raises(Unauthorized, match="already"):
        tokens.open("t", "fourth", "", 1.0)
    tokens.open("t", "fifth", "second", 1.0)


def test_what_did_not_begin_and_what_goes_on_counts_for_no_minute() -> None:
    held, key = Held(), key_of(sessions_per_minute=1, max_sessions=2)
    held.begin(key, 0.0)
    held.undo(key)
    held.begin(key, 1.0)
    held.begin(key, 2.0, known=True)
    held.undo(key, known=True)
    held.begin(key, 3.0, known=True)
    with pytest.raises(TooManyRequests, match="2 conversations at a time"):
        held.begin(key, 4.0, known=True)
    held.end(key)
    with pytest.raises(TooManyRequests, match="1 conversations a minute"):
        held.begin(key, 60.5)
    held.begin(key, 61.0)


def test_a_key_that_was_shown_a_while_ago_opens_what_it_opens_now() -> None:
    shown = key_of()
    assert KeyRing((key_of(roles=["metrics"]),)).present(shown, NOON).roles == {Role.METRICS}
    with pytest.raises(Unauthorized, match="kiosk has expired"):
        KeyRing((key_of(expires="2030-01-30"),)).present(shown, NOON)
    with pytest.raises(Unauthorized, match="kiosk has been taken back"):
        KeyRing((key_of(sha256=digest_of("pk_two")),)).present(shown, NOON)


def test_there_is_a_most_of_tokens_for_each_key_and_for_all_and_those_that_are_over_make_room() -> None:
    tokens = Tokens()
    keys = [key_of(name=f"key {number}") for number in range(MOST_TOKENS // MOST_OF_ONE)]
    for number in range(MOST_OF_ONE):
        tokens.add(f"of one {number}", keys[0], 60.0, 0.0)
    with pytest.raises(TooManyRequests, match="key 0 has too many tokens"):
        tokens.add("one more", keys[0], 60.0, 59.0)
    for key in keys[1:]:
        for number in range(MOST_OF_ONE):
            tokens.add(f"{key.name} {number}", key, 60.0, 0.0)
    with pytest.raises(CapacityError):
        tokens.add("one more", key_of(name="another"), 60.0, 59.0)
    tokens.add("one more", keys[0], 120.0, 60.0)
