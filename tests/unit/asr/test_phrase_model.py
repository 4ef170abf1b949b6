from hypothesis import given
from hypothesis import strategies as st

from parley.asr.phrase_model import arpa, words_of

WORD = st.sampled_from(["stop", "go", "on", "tell", "me", "a", "story"])
PHRASES = st.lists(st.lists(WORD, min_size=1, max_size=5).map(tuple), min_size=1, max_size=8)


def read(text: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Grams with probability and back-off weight."""
    grams, size = {}, 0
    for line in text.splitlines():
        if line.endswith("-grams:"):
            size = int(line[1])
        elif size and line and not line.startswith("\\"):
            parts = line.split()
            weight = float(parts[size + 1]) if len(parts) > size + 1 else 0.0
            grams[tuple(parts[1 : size + 1])] = (10 ** float(parts[0]), 10**weight)
    return grams


def probability(grams: dict, context: tuple[str, ...], word: str) -> float:
    if (*context, word) in grams:
        return grams[(*context, word)][0]
    weight = grams[context][1] if context in grams else 1.0
    return weight * probability(grams, context[1:], word) if context else 0.0


def test_words_are_spelled_as_in_the_dictionary() -> None:
    assert words_of("What's the time, Bob?") == ("what's", "the", "time", "bob")


@given(PHRASES)
def test_after_any_context_the_words_share_at_most_the_whole_probability(phrases: list[tuple[str, ...]]) -> None:
    grams = read(arpa(phrases))
    vocabulary = [gram[0] for gram in grams if len(gram) == 1 and gram != ("<s>",)]
    contexts = [gram for gram in grams if len(gram) < 3 and gram[-1] != "</s>"]
    for context in contexts:
        total = sum(probability(grams, context, word) for word in vocabulary)
        assert 0.8 < total < 1.02, context


def test_a_known_phrase_is_likelier_than_its_words_in_another_order() -> None:
    grams = read(arpa([("tell", "me", "a", "story"), ("stop",)]))
    known = probability(grams, ("tell", "me"), "a")
    assert known > 0.8
    assert probability(grams, ("tell", "me"), "stop") < 0.1
