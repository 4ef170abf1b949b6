# ruff: noqa: E501 (rows of tables)
"""Write ``docs/reference/spoken-text.md`` from the texts that the tests hold the code to."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "spoken-text.md"
TEXTS = ROOT / "tests" / "unit" / "text" / "spoken_texts.yaml"

_HEAD = """\
# How written text is spoken

<!-- The tables are written by scripts/spoken_text_docs.py from tests/unit/text/spoken_texts.yaml; the words above them
stand in that script. -->

Language models write for the eye: Markdown, emoji, numbers, addresses.
A worker puts that into words before a voice sees it, so every voice and every client (session, gRPC, LiveKit) has it alike.
Captions, word marks and heard words count in the *written* text, whatever is said for it.

## What is left out, and what is put into words

| what | how it is spoken | languages |
| --- | --- | --- |
| emphasis, headings, bullets, quotations, HTML tags, footnote marks, emoji | left out | all |
| links and images | their words | all |
| `inline code` | its text | all |
| blocks of code between fences, ruled lines | not at all | all |
| tables | cell by cell, with a pause between two | all |
| addresses of the web and of mail | "example dot com slash docs"; what follows `?` or `#` is left out | all; in words: en, de, es, fr |
| numbers, money, percentages, fractions, ranges, ordinals, Roman numbers after names | in words | en, de, es, fr |
| dates, times, telephone numbers, units, abbreviations | in words | en, de, es, fr |
| words of a lexicon | as it says | all |
| "...", "\\*\\*\\*", emoji alone | nothing: no voice is asked | all |

`3/4/2026` is the third of April or the fourth of March: it is read as a date where the region decides (en-US, en-GB), and as its numbers in plain `en`.
Spanish of Mexico and its neighbours writes `1,234.50`, that of Spain `1.234,50`; the voice's language tag says which.
In other languages digits are left to the voice.

## Switch it off

- For all: `worker.text.normalize: false`.
- For a session: the setting `text.normalize` in `start`, or `session.text.normalize` for all sessions of an orchestrator.
- For a text from outside: `"normalize": false` in the first `say` message of a reply.
- In gRPC: `wording.normalize` in `StartSession` or in the first message of `Synthesize`.

## Lexicon

A lexicon says how words are spoken: `word = respelling`, sounds as IPA between slashes, or both.
Sounds are used by voices that take them (Piper, Kokoro); others speak the respelling, or the word as it is written.
A word in lower case stands for all its spellings, any other for itself alone.

```yaml
worker:
  text:
    lexicon: |
      Nguyen = win /ŋwiən/
      sql = sequel
```

The words of one utterance (`wording.lexicon` in gRPC) count before those of its session (`text.lexicon` in `start`, or `session.text.lexicon`),
of the voice pack (`lexicon:` in `metadata.yaml`) and of the worker (`worker.text.lexicon`).
At most 2,000 words, 200 characters each.

## Where it is cut

Text is cut into sentences, and the first clause of a reply, by one splitter, with the ends of all scripts (`。`, `।`, `؟` ...) and
lists of abbreviations for en, de, es, fr, it, pt, nl, pl, sv, da, no, fi, cs, hu, tr, ru and uk.
What has no end is cut at a comma, or between words, after 240 characters (90 in scripts without spaces).

The tables below are the test of the rules.
Twenty of the texts are also spoken by real voices and transcribed by a recogniser that was not told (`tests/integration/test_spoken_aloud.py`): 2 % of the letters differ in English, 6 % in German and 10 % in Spanish, where the embedded voice speaks.
"""
_NAMES = {"en-US": "English (en-US)", "de": "German", "es": "Spanish", "fr": "French"}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for language, texts in yaml.safe_load(TEXTS.read_text("utf-8")).items():
        rows = "\n".join(f"| {_code(entry['written'])} | {_plain(entry['spoken'])} |" for entry in texts)
        parts.append(f"## {_NAMES[language]}\n\n| written | spoken |\n| --- | --- |\n{rows}\n")
    return "\n".join(parts)


def _code(text: str) -> str:
    """Text as code in a cell of a table; a line's end is shown."""
    shown = text.replace("\n", "⏎").replace("|", "\\|")
    mark = "``` " if "``" in shown else "`` " if "`" in shown else "`"
    if "```" in shown:
        mark = "```` "
    return f"{mark}{shown}{mark[::-1]}"


def _plain(text: str) -> str:
    return " / ".join(line.strip(" ") for line in text.split("\n") if line.strip()).replace("|", "\\|")
