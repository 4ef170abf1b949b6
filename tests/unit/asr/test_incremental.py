import numpy as np

from parley.asr.incremental import Decoded, IncrementalTurn, Request, Segment
from parley.values import TranscriptWord

SECOND = bytes(2 * 16_000)


class Engine:
    """Understands one word per second, in segments of five."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.heard = 0.0

    def decode(self, request: Request) -> Decoded:
        self.requests.append(request)
        seconds = request.audio.size // 16_000
        first = round(self.heard - seconds)
        words = [f"w{first + n}" for n in range(seconds)]
        segments = []
        for start in range(0, seconds, 5):
            piece = words[start : start + 5]
            times = tuple(TranscriptWord(word, start + n, start + n + 1.0) for n, word in enumerate(piece))
            segments.append(Segment(" ".join(piece), float(start + len(piece)), times if request.final else ()))
        return Decoded(tuple(segments), "de")


def turn(engine: Engine, seconds: int) -> tuple[IncrementalTurn, list[str]]:
    spoken = IncrementalTurn(engine.decode, "")
    partials = []
    for _ in range(seconds):
        spoken.add(SECOND)
        engine.heard += 1
        partials.append(spoken.partial().text)
    return spoken, partials


def test_partials_grow_and_the_final_has_every_word() -> None:
    engine = Engine()
    spoken, partials = turn(engine, 4)
    assert partials[-1] == "w0 w1 w2 w3"
    assert spoken.final().text == "w0 w1 w2 w3"


def test_a_long_turn_is_not_decoded_from_its_beginning_for_ever() -> None:
    engine = Engine()
    spoken, _ = turn(engine, 60)
    assert max(request.audio.size for request in engine.requests) <= 18 * 16_000
    assert spoken.final().text == " ".join(f"w{n}" for n in range(60))


def test_what_was_cut_off_becomes_the_prompt() -> None:
    engine = Engine()
    turn(engine, 20)
    assert engine.requests[-1].prompt.startswith("w0 w1")


def test_word_times_count_from_the_turns_beginning() -> None:
    engine = Engine()
    spoken, _ = turn(engine, 30)
    words = spoken.final().words
    assert words[-1] == TranscriptWord("w29", 29.0, 30.0)


def test_a_detected_language_is_kept_for_the_turn() -> None:
    engine = Engine()
    spoken, _ = turn(engine, 2)
    assert engine.requests[0].language == ""
    assert engine.requests[1].language == "de"
    assert spoken.final().language == "de"


def test_too_little_audio_is_not_decoded() -> None:
    engine = Engine()
    spoken = IncrementalTurn(engine.decode, "en")
    spoken.add(np.zeros(100, np.int16).tobytes())
    assert spoken.final().text == ""
    assert engine.requests == []
