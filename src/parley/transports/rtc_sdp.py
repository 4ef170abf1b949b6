"""The little of SDP that is ours: frame length, hidden candidates, ICE restarts (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from aioice import Candidate

MAX_OFFER_BYTES = 64 * 1024
_ICE_LINE = re.compile(r"a=(candidate:|ice-ufrag:|ice-pwd:|end-of-candidates)")


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"\r\n|\n|\r", text) if line]


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def check_offer(offer: str, channel: str) -> None:
    """Raise InvalidRequest unless the text looks like an offer that we can answer; ``channel`` is what we wait for."""
    if len(offer) > MAX_OFFER_BYTES:
        raise InvalidRequest(f"An SDP offer may have at most {MAX_OFFER_BYTES} bytes.")
    lines = _lines(offer)
    if not lines or not lines[0].startswith("v=0"):
        raise InvalidRequest("The body must be an SDP offer; its first line is v=0.")
    if sum(line.startswith("m=audio ") for line in lines) != 1:
        raise InvalidRequest("The offer must have exactly one audio section, sendrecv, with Opus.")
    if not any(line.startswith("m=application ") for line in lines):
        raise InvalidRequest(f'The offer must have a data channel; create one labelled "{channel}" before the offer.')


def without_hidden_candidates(offer: str) -> str:
    """Leave out ``.local`` candidates: resolving them takes seconds, and the browser's own checks find us."""
    return _joined(line for line in _lines(offer) if not (line.startswith("a=candidate:") and ".local " in line))


def with_frame_length(answer: str, milliseconds: int) -> str:
    """Ask the other side for audio packets of this length."""
    lines: list[str] = []
    audio = False
    for line in _lines(answer):
        if line.startswith("m="):
            audio = line.startswith("m=audio ")
        lines.append(line)
        if audio and line.startswith("a=rtcp-mux"):
            lines.append(f"a=ptime:{milliseconds}")
    return _joined(lines)


def ice_part(text: str) -> tuple[str, str, list[Candidate]]:
    """User name, password and candidates of an offer or fragment; InvalidRequest when they are missing."""
    values: dict[str, str] = {}
    for line in _lines(text):
        for name in ("ice-ufrag", "ice-pwd"):
            if line.startswith(f"a={name}:"):
                values.setdefault(name, line.partition(":")[2].strip())
    if len(values) != 2:
        raise InvalidRequest("An ICE restart needs the lines a=ice-ufrag and a=ice-pwd.")
    return values["ice-ufrag"], values["ice-pwd"], candidates_of(text)


def candidates_of(text: str) -> list[Candidate]:
    """The usable candidates of an offer or fragment, each once."""
    from aioice import Candidate  # takes a while: not when a server starts

    found: dict[tuple[str, int], Candidate] = {}
    for line in _lines(text):
        if not line.startswith("a=candidate:") or ".local " in line:
            continue
        try:
            candidate = Candidate.from_sdp(line.partition(":")[2])
        except ValueError as error:
            raise InvalidRequest(f"A candidate line cannot be read: {error}.") from error
        if candidate.transport.lower() == "udp" and candidate.component == 1:
            found.setdefault((candidate.host, candidate.port), candidate)
    return list(found.values())


def username_of(text: str) -> str:
    """The ICE user name in an offer, answer or fragment; empty when there is none."""
    match = re.search(r"^a=ice-ufrag:(\S+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def with_ice(answer: str, username: str, password: str, candidates: Iterable[Any]) -> str:
    """The same answer with other ICE credentials and candidates, in every section."""
    fresh = [f"a=candidate:{candidate.to_sdp()}" for candidate in candidates]
    fresh += ["a=end-of-candidates", f"a=ice-ufrag:{username}", f"a=ice-pwd:{password}"]
    lines: list[str] = []
    in_media = False
    for line in _lines(answer):
        if line.startswith("m=") and in_media:
            lines += fresh
        in_media = in_media or line.startswith("m=")
        if not _ICE_LINE.match(line):
            lines.append(line)
    return _joined([*lines, *fresh])


def fragment_of(answer: str) -> str:
    """The ICE part of an answer as a fragment (RFC 8840)."""
    lines = _lines(answer)
    first = next(index for index, line in enumerate(lines) if line.startswith("m="))
    section = [line for line in lines[first:] if line.startswith(("m=", "a=mid:")) or _ICE_LINE.match(line)]
    end = next((index for index, line in enumerate(section) if index and line.startswith("m=")), len(section))
    credentials = [line for line in section[:end] if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    rest = [line for line in section[:end] if line not in credentials]
    return _joined([*credentials, *rest])
