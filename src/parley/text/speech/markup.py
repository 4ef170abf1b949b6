"""What text carries for the eye alone, in every language: Markdown, HTML, emoji; and addresses, which are read out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from parley.text.speech.grammar import Grammar
from parley.text.speech.spoken import Claim

_EYE = re.compile(r"[\[\]*_`#>|~<&\\\-+•‣▪◦·=]|[^\x00-\u2000]")
"""Something of this is in every text that has marks."""
FENCE = re.compile(r"^\s*(?:[-*+]\s+)?(?:```|~~~)")
_RULE = re.compile(r"^\s*(?:[-*_=]\s*){3,}$")
_TABLE_LINE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_LINE_START = re.compile(r"^\s*(?:>\s?)*(?:#{1,6}\s+|[-*+•‣▪◦·–]\s+(?:\[[ xX]\]\s+)?|>\s?)")
_IMAGE_OR_LINK = re.compile(r"!?\[(?=[^\[\]\n]{0,300}\](?:\(|\[))")
_TARGET = re.compile(r"\](?:\((?:[^()\n]|\([^()\n]*\)){0,800}\)|\[[^\[\]\n]{0,80}\])")
_FOOTNOTE = re.compile(r"\s?\[\^[\w-]{1,40}\]:?")
_WIKI = re.compile(r"\[\[|\]\]")
_TAG = re.compile(
    r"</?(?:a|b|i|u|s|p|br|hr|em|strong|del|ins|mark|kbd|sub|sup|small|code|pre|span|div|ul|ol|li|h[1-6]|table|thead|"
    r"tbody|tr|td|th|img|blockquote|details|summary)(?:\s[^<>\n]{0,200})?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,10}|#\d{1,6}|#x[0-9a-fA-F]{1,6});")
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_STRONG = re.compile(r"(?<!\d)\*\*+|\*\*+(?!\d)|~~|(?<!\w)__+|__+(?!\w)|`+")
_EMPHASIS = re.compile(r"(?<![\w*])[*_](?=[\w\"'“„«¿¡(\[$€£+])|(?<=[\w.,;:!?…)\"'”’»%\]€°])[*_](?![\w*])")
_SNAKE = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
_PIPE = re.compile(r"^\s*\|\s*|\s*\|\s*$|\s*\|\s*")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001fc00-\U0001fffd\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff\u2122\u00ae\u00a9"
    "\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f\u3030\u303d\u3297\u3299\ufffd]+"
)
_ARROW = re.compile("\\s*(?:[\u2190-\u21ff\u27f0-\u27ff]|<?[-=]{1,2}>)\\s*")

_TLDS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|app|cloud|online|shop|tech|blog|eu|de|at|ch|fr|es|mx|ar|it|pt|br|"
    "nl|be|pl|cz|sk|hu|ro|se|no|dk|fi|ie|uk|us|ca|au|nz|in|jp|kr|cn|ru|ua|tr|gr|co|me|tv"
)
_MAIL = re.compile(r"(?:mailto:)?(?P<user>[A-Za-z0-9][\w.+-]{0,63})@(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
_URL = re.compile(
    r"<?(?P<scheme>https?://|ftp://|www\.)(?P<rest>[^\s<>()\[\]\"'`|*]+)>?"
    rf"|(?<![\w@./-])(?P<bare>(?:[A-Za-z0-9-]+\.)+(?:{_TLDS})(?![\w.@-]*\w)(?:/[^\s<>()\[\]\"'`|*]*)?)"
)


def lines_for_the_eye(text: str) -> bool:
    """Whether the whole piece is a ruled line or the line under a table's head."""
    return bool(_RULE.match(text) or (_TABLE_LINE.match(text) and ("|" in text or "--" in text)))


def links(text: str) -> Iterator[Claim]:
    """All of a link or an image but its words."""
    if "[" not in text:
        return
    for pattern in (_FOOTNOTE, _WIKI):
        for match in pattern.finditer(text):
            yield Claim(match.start(), match.end())
    for match in _IMAGE_OR_LINK.finditer(text):
        yield Claim(match.start(), match.end())
        target = _TARGET.search(text, match.end())
        if target:
            yield Claim(target.start(), target.end(), tail=True)


def line_start(text: str) -> Iterator[Claim]:
    """The marks of a heading, a point of a list, a quotation."""
    start = _LINE_START.match(text)
    if start:
        yield Claim(start.start(), start.end())


def markup(text: str) -> Iterator[Claim]:
    """What is left out or said as a pause."""
    if not _EYE.search(text):
        return
    yield from line_start(text)
    for pattern in (_TAG, _STRONG, _EMPHASIS, _EMOJI, _ESCAPE):
        for match in pattern.finditer(text):
            yield Claim(match.start(), match.end())
    for match in _ENTITY.finditer(text):
        yield Claim(match.start(), match.end(), html.unescape(match.group()))
    for match in _SNAKE.finditer(text):
        yield Claim(match.start(), match.end(), " ")
    for match in _ARROW.finditer(text):
        yield Claim(match.start(), match.end(), ", ")
    for match in _PIPE.finditer(text):
        inner = text[: match.start()].strip() and text[match.end() :].strip()
        yield Claim(match.start(), match.end(), ", " if inner else " ")


def addresses(text: str, grammar: Grammar | None) -> Iterator[Claim]:
    """Addresses of mail and of the web, as people read them out."""
    if "@" in text:
        for match in _MAIL.finditer(text):
            yield Claim(match.start(), match.end(), _mail(match, grammar))
    if "." in text:
        for match in _URL.finditer(text):
            said, end = _url(match, grammar)
            if said:
                yield Claim(match.start(), end, said)


def _mail(match: re.Match[str], grammar: Grammar | None) -> str:
    if grammar is None:
        return f"{match['user']} @ {match['host']}"
    return f"{_read(match['user'], grammar)} {grammar.at} {_host(match['host'], grammar)}"


def _url(match: re.Match[str], grammar: Grammar | None) -> tuple[str, int]:
    """What is said, and where it ends: closing punctuation is none of an address."""
    address = match["bare"] or match["rest"]
    bare = address.rstrip(".,;:!?…*_~'”’»")
    end = match.end() - (len(address) - len(bare)) if not match.group().endswith(">") else match.end()
    path = re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/")
    path = path.removeprefix("www.")
    if grammar is None:
        return path, end
    host, _, rest = path.partition("/")
    return _host(host, grammar) + (f" {grammar.slash} {_read(rest, grammar)}" if rest else ""), end


def _host(host: str, grammar: Grammar) -> str:
    name, port = host.rsplit(":", 1) if ":" in host else (host, "")
    labels = name.split(".")
    if len(labels) > 1 and len(labels[-1]) == 2:
        labels[-1] = " ".join(labels[-1].upper())
    said = f" {grammar.dot} ".join(_read(label, grammar) for label in labels)
    return f"{said} {grammar.colon} {_numbers(port, grammar)}" if port else said


def _read(text: str, grammar: Grammar) -> str:
    words = {".": grammar.dot, "/": grammar.slash, "-": grammar.dash, "_": grammar.underscore, "+": grammar.plus,
             ":": grammar.colon, "@": grammar.at, "=": grammar.equals, "~": "tilde", "%": grammar.percent,
             "&": grammar.conjunction}  # fmt: skip
    said = "".join(f" {words[character]} " if character in words else character for character in text)
    return _numbers(" ".join(said.split()), grammar)


def _numbers(text: str, grammar: Grammar) -> str:
    return re.sub(r"\d+", lambda found: f" {grammar.numerals.number(found.group())} ", text).strip().replace("  ", " ")
