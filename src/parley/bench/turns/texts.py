"""What is said in the corpus, and by whom; twice, so that nothing can be fitted to one set alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from parley.bench.speech import Speaker, speakers


@dataclass(frozen=True, slots=True)
class Texts:
    """Sentences by kind, and the people who say them."""

    interruptions: tuple[str, ...]
    backchannels: tuple[str, ...]
    turns: tuple[str, ...]
    paused_turns: tuple[tuple[str, str], ...]
    """Before and after the pause."""
    background: tuple[str, ...]
    speakers: tuple[Speaker, ...]


def main_texts() -> Texts:
    """Those of the published numbers."""
    return Texts(
        interruptions=(
            "Wait, stop there please.",
            "No, that is not what I meant.",
            "Hold on, can I ask something?",
            "Stop talking for a moment.",
            "Actually, tell me the time instead.",
            "Excuse me, who was the keeper?",
            "Can you say that again slowly?",
            "Let us talk about something else.",
        ),
        # "um hum": a hum as these voices can say it; "mhm" they spell out.
        backchannels=("um hum", "uh huh", "yeah", "okay", "right", "I see", "oh really", "sure"),
        turns=(
            "What time is it?",
            "Tell me a long story.",
            "Please count to ten.",
            "What can you do?",
            "Say hello to my friend.",
            "Can you change your voice?",
            "How are you today?",
            "Repeat what I just said.",
        ),
        paused_turns=(
            ("I would like to", "hear a long story."),
            ("Tell me about", "the weather in the mountains."),
            ("Could you please", "count to ten."),
            ("My question is", "what time it is."),
            ("I was thinking that", "we could talk about the sea."),
            ("Let me see, the", "second one was better."),
        ),
        background=(
            "and then she said that the train would be late again",
            "we still need bread and milk and something for dinner",
            "the second half was much better than the first one",
        ),
        speakers=speakers(),
    )


def other_texts() -> Texts:
    """Sentences and voices that no threshold was chosen with: what is good there is no accident."""
    espeak = (
        Speaker("espeak", "en-us+m3", 150),
        Speaker("espeak", "en-us+f2", 185),
        Speaker("espeak", "en-gb-x-rp+m7", 170),
        Speaker("espeak", "en-us+klatt2", 190),
    )
    flite = (Speaker("flite", "kal"), Speaker("flite", "awb")) if shutil.which("flite") else ()
    return Texts(
        interruptions=(
            "Please be quiet for a second.",
            "Sorry, I did not get that.",
            "What was her name again?",
            "Why did nobody help him?",
            "I have heard this one before.",
            "Enough of that, thank you.",
            "Could we go back to the beginning?",
            "Listen, I need to leave soon.",
        ),
        backchannels=("uh huh", "yes", "great", "of course", "I know", "good", "wow", "alright"),
        turns=(
            "Where is the nearest station?",
            "Play some music for me.",
            "Is it going to rain tomorrow?",
            "Turn off the kitchen lights.",
            "My sister lives in Boston.",
            "Do you like chocolate?",
            "I am very tired today.",
            "Open the window, please.",
        ),
        paused_turns=(
            ("Can you tell me", "where the station is."),
            ("I want to go to", "the market on Sunday."),
            ("The reason is that", "my brother has the key."),
            ("Please remind me of", "the meeting at noon."),
            ("We have been looking for", "a small house."),
            ("If the weather is", "nice we can walk."),
        ),
        background=(
            "he never told anybody where he had hidden the letters",
            "there are only two seats left on the early flight",
            "my neighbour paints his fence every summer",
        ),
        speakers=espeak + flite,
    )


def short_texts() -> Texts:
    """The main ones, but interruptions are over in less than a second, as many are."""
    return replace(
        main_texts(),
        interruptions=(
            "Stop.",
            "Wait.",
            "No, wait.",
            "What time is it?",
            "Tell me a joke.",
            "Who was she?",
            "Be quiet.",
            "Thank you, that is enough.",
        ),
    )


TEXTS: Mapping[str, Callable[[], Texts]] = {"main": main_texts, "other": other_texts, "short": short_texts}
"""By the name that ``parley bench turns --set texts=NAME`` takes."""
