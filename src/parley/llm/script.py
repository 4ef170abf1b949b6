"""The built-in language model: a handful of things that it understands, so that Parley talks with nothing else.

It keeps no state: everything comes from the conversation. After an interruption it can go on with its
story, because the history holds the words that were heard and no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence, Set
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from parley.llm.hearing import understand, words_of
from parley.llm.settings import LlmSettings
from parley.values import ChangeVoice, ChatMessage, Deadlines, ReplyOptions, ToolCall, ToolInfo, Voice

if TYPE_CHECKING:
    from parley.llm.settings import ScriptSettings

PHRASES: dict[str, tuple[str, ...]] = {
    "greeting": ("hello", "hello there", "hi", "hi there", "hey", "good morning", "good evening", "good afternoon"),
    "mood": ("how are you", "how are you doing", "how do you do"),
    "name": ("what is your name", "who are you", "what are you"),
    "help": ("what can you do", "help", "help me", "what can i say", "what can i ask", "list what you can do"),
    "story": ("tell me a story", "tell me a long story", "a story", "another story", "tell a story", "read me a story"),
    "joke": ("tell me a joke", "a joke", "another joke", "make me laugh"),
    "continue": ("go on", "continue", "keep going", "carry on", "go on with the story", "continue the story"),
    "count": ("count", "count to ten", "count to twenty", "can you count", "count to five", "count to one hundred"),
    "time": ("what time is it", "what is the time", "tell me the time", "the time", "do you have the time"),
    "date": ("what day is it", "what day is it today", "what is the date", "what is the date today", "which day is it"),
    "voice": (
        "change your voice",
        "change the voice",
        "switch the voice",
        "switch your voice",
        "another voice",
        "use another voice",
        "speak with another voice",
        "a different voice",
    ),
    "repeat": (
        "say that again",
        "repeat that",
        "what did you say",
        "pardon",
        "can you repeat that",
        "again",
        "try again",
        "once more",
    ),
    "stop": (
        "stop",
        "stop it",
        "stop talking",
        "be quiet",
        "wait",
        "hold on",
        "that is enough",
        "never mind",
        "cancel",
    ),
    "thanks": ("thank you", "thanks", "thank you very much", "great"),
    "goodbye": ("goodbye", "bye", "bye bye", "see you", "good night"),
    "yes": ("yes", "yeah", "sure"),
    "no": ("no", "nope", "not really"),
    "hear": ("can you hear me", "do you hear me", "are you there", "testing", "is this working"),
    "timer": ("set a timer", "start a timer", "set a timer for a minute"),
    "weather": ("what is the weather", "what is the weather like", "how is the weather today", "will it rain"),
}
"""Meaning -> what people say for it; lower case, no punctuation."""

_OLD_ANSWERS = frozenset({"repeat", "continue"})
"""Meanings that ask for an answer that was given before."""

STORY = (
    "Once upon a time there was a lighthouse at the end of a long, stony beach. "
    "Nobody had lived in it for many years, but every evening its lamp was lit. "
    "The people in the village wondered who did it, and for a long time nobody dared to look. "
    "One autumn day a girl called Mara packed some bread, an apple and a torch, and walked along the beach. "
    "The tide was low, the gulls were loud, and the door of the lighthouse stood open. "
    "Inside, two hundred and twelve steps went up into the dark, and she counted every one of them. "
    "At the top she found an old clockwork, as tall as a horse, with wheels of brass and a weight of stone. "
    "Every evening the weight sank a little, the wheels turned, and a small flame was struck beneath the lamp. "
    "The last keeper had built it before he left, so that no ship would ever miss the harbour. "
    "But now the weight had nearly reached the ground, and in a week the light would have gone out for good. "
    "Mara took hold of the crank with both hands, and she pulled until the stars came out. "
    "Slowly, tooth by tooth, the great stone rose, and when it hung at the top again, the lamp began to burn. "
    "Far out at sea a ship turned its bow towards the harbour, and its horn sounded twice. "
    "From then on she came back every autumn, and she never told anybody how the light was kept. "
    "Only once, when she was very old, did she give a child some bread, an apple and a torch, "
    "and say that it was a lovely evening for a walk. "
    "And that is the end of the story."
)
"""About a minute and a half: long enough to be interrupted in."""

_JOKES = (
    "Why did the microphone break up with the loudspeaker? There was too much feedback.",
    "I asked a clock for the time. It said it had its hands full.",
    "What do you call a talking parrot with good manners? Polly-te.",
)
_UNITS = words_of(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = words_of("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
_SAY = re.compile(r"^\W*(?:please\s+)?(?:say|repeat after me|echo)\b[\s,:]+(?!that again)(.+)$", re.IGNORECASE)
_TIMER_OVER = re.compile(r"timer of (\d+) seconds is over")
_OPERATORS = {
    "plus": "+",
    "add": "+",
    "and": "+",
    "minus": "-",
    "less": "-",
    "times": "*",
    "+": "+",
    "-": "-",
    "*": "*",
}


def phrases() -> tuple[str, ...]:
    """Everything that the script listens for: the vocabulary of a recogniser's small language model."""
    known = [phrase for group in PHRASES.values() for phrase in group]
    counts = [f"count to {spelled(number)}" for number in (*range(2, 21), 30, 50, 100)]
    # Each number once on either side: all pairs would make every sentence sound like arithmetic.
    sums = [
        f"what is {spelled(one)} {word} {spelled(1 + (one + shift) % 12)}"
        for one in range(1, 13)
        for shift, word in enumerate(("plus", "minus", "times"))
    ]
    timers = [f"set a timer for {spelled(number)} seconds" for number in (5, 10, 20, 30)]
    return tuple(dict.fromkeys([*known, *counts, *sums, *timers]))


def _local_time() -> datetime:
    return datetime.now().astimezone()


class ScriptModel:
    """A ``LanguageModel`` that needs nothing."""

    deadlines = Deadlines()

    def __init__(
        self,
        settings: LlmSettings | None = None,
        *,
        voices: Callable[[], Sequence[Voice]] = lambda: (),
        time: Callable[[], datetime] = _local_time,
    ) -> None:
        """``voices`` says which voices there are to switch to; ``time`` what the clock on the wall shows."""
        self._settings: ScriptSettings = (settings or LlmSettings()).script
        self._time = time
        self._voices = voices

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[str | ChangeVoice | ToolCall, None]:
        """Answer the last thing that was said, a few words at a time; the time and timers by tools, where offered."""
        said = next((message.text for message in reversed(history) if message.role == "user"), "")
        for part in self._called(said, history, {tool.name for tool in tools}) or self._answer(said, history):
            if not isinstance(part, str):
                yield part
            else:
                for delta in in_deltas(part, self._settings.delta_words):
                    yield delta

    async def aclose(self) -> None:
        """There is nothing to close."""

    # --- tools -------------------------------------------------------------------------

    def _called(self, said: str, history: Sequence[ChatMessage], tools: Set[str]) -> list[str | ToolCall]:
        """What a tool has just said, or a call of one; nothing where none is needed."""
        last = history[-1] if history else None
        meaning = understand(said, PHRASES)
        if last is not None and last.role == "tool":
            return [self._told(last, meaning, said)]
        if meaning in ("time", "date") and "time" in tools:
            return [ToolCall("", "time", "{}")]
        if meaning == "timer" and "timer" in tools:
            return [ToolCall("", "timer", json.dumps({"seconds": _seconds_in(said)}))]
        return []

    def _told(self, result: ChatMessage, meaning: str, said: str) -> str:
        """A tool's answer in a sentence."""
        if meaning in ("time", "date"):
            try:
                return self._clock_or_date(meaning, datetime.fromisoformat(result.text[:16]))
            except ValueError:
                return "I cannot find out the time right now."
        if (over := _TIMER_OVER.search(result.text)) is not None:
            return f"The timer of {_duration(int(over[1]))} is over."
        if meaning == "timer":
            return f"All right. I will tell you when {_duration(_seconds_in(said))} are over."
        return "That did not work."

    # --- answers -----------------------------------------------------------------------

    def _answer(self, said: str, history: Sequence[ChatMessage]) -> Iterable[str | ChangeVoice]:
        if not words_of(said) and not history:
            return [self._greeting()]
        if (order := _SAY.match(said)) is not None:
            return [order.group(1)]
        if (result := _calculate(said)) is not None:
            return [result]
        meaning = understand(said, PHRASES)
        if meaning == "voice" or (not meaning and "voice" in words_of(said)):
            return self._change_voice(said, history)
        if meaning == "count":
            return [count_to(_number_in(said) or 10)]
        return [self._speech(meaning, said, history)]

    def _speech(self, meaning: str, said: str, history: Sequence[ChatMessage]) -> str:
        now = self._time()
        asked = sum(message.role == "user" for message in history)
        answers: dict[str, Callable[[], str]] = {
            "greeting": self._greeting,
            "mood": lambda: "I am well, thank you. What would you like to hear?",
            "name": lambda: f"My name is {self._settings.name}. I am a small script that listens and talks.",
            "help": self._help,
            "story": lambda: STORY,
            "joke": lambda: _JOKES[asked % len(_JOKES)],
            "continue": lambda: self._go_on(history) or "There is nothing to go on with. Ask me for a story.",
            "time": lambda: self._clock_or_date("time", now),
            "date": lambda: self._clock_or_date("date", now),
            "timer": lambda: "I have no timer here.",
            "repeat": lambda: self._repeat(history) or "I have not said anything yet.",
            "stop": lambda: "All right.",
            "thanks": lambda: "You are welcome.",
            "goodbye": lambda: "Goodbye, and thank you for talking to me.",
            "yes": lambda: "Good. What would you like to hear?",
            "no": lambda: "All right. Tell me when you need something.",
            "hear": lambda: "Yes, I can hear you.",
            "weather": lambda: "I cannot look out of the window, but I hope that the sun is shining where you are.",
        }
        answer = answers.get(meaning)
        return answer() if answer else self._did_not_understand(said)

    def _clock_or_date(self, meaning: str, now: datetime) -> str:
        if meaning == "time":
            return f"It is {_clock_words(now)}."
        return f"It is {now:%A}, the {_ordinal(now.day)} of {now:%B}."

    def _repeat(self, history: Sequence[ChatMessage]) -> str:
        """The last answer, whole: what the history holds of it may end where it was interrupted."""
        return self._last_answer(history) or _last_heard(history)

    def _go_on(self, history: Sequence[ChatMessage]) -> str:
        """What has not been heard of the story, or of the last answer; "" when nothing is left."""
        if rest := _rest_of_story(history):
            return rest
        heard, whole = _last_heard(history).split(), self._last_answer(history).split()
        return " ".join(whole[len(heard) :]) if heard and whole[: len(heard)] == heard else ""

    def _last_answer(self, history: Sequence[ChatMessage]) -> str:
        """The answer to the last thing that was asked and does not itself ask for an old answer; "" without one."""
        for place in range(len(history) - 1, 0, -1):
            asked, answered = history[place - 1], history[place]
            if (asked.role, answered.role) != ("user", "assistant") or understand(asked.text, PHRASES) in _OLD_ANSWERS:
                continue
            parts = list(self._answer(asked.text, history[:place]))
            return "" if any(isinstance(part, ChangeVoice) for part in parts) else "".join(map(str, parts))
        return ""

    def _greeting(self) -> str:
        return f"Hello, I am {self._settings.name}. Ask me what I can do, or just interrupt me."

    def _help(self) -> str:
        return (
            "I can tell you a story, and you can interrupt me at any time and tell me to go on. "
            "I can count, tell the time and the date, add numbers, tell a joke, say what you tell me to say, "
            "and change my voice. For real conversations, connect me to a language model."
        )

    def _did_not_understand(self, said: str) -> str:
        words = " ".join(said.split())
        if not words:
            return "I did not catch that. Could you say it again?"
        return f"You said: {words.rstrip('.!?')}. I have no answer to that. Ask me what I can do."

    def _change_voice(self, said: str, history: Sequence[ChatMessage]) -> Iterable[str | ChangeVoice]:
        voices = list(self._voices())
        if not voices:
            return ["I have only one voice here."]
        named = [voice for voice in voices if _label(voice).lower() in said.lower()]
        times = sum(message.role == "user" and "voice" in words_of(message.text) for message in history)
        voice = named[0] if named else voices[times % len(voices)]
        return [
            ChangeVoice(voice),
            f"All right. From the next sentence on you hear the voice {_label(voice)}. Say something to try it.",
        ]


# --- words -----------------------------------------------------------------------------


def in_deltas(text: str, words: int) -> Iterable[str]:
    """Cut a text as a language model would deliver it; joined, the deltas are the text."""
    tokens = re.findall(r"\s*\S+", text)
    for start in range(0, len(tokens), words):
        yield "".join(tokens[start : start + words])


def spelled(number: int) -> str:
    """0 to 100 in words."""
    if number < 20:
        return _UNITS[number]
    if number >= 100:
        return "one hundred"
    tens, unit = divmod(number, 10)
    return _TENS[tens] + (f" {_UNITS[unit]}" if unit else "")


def count_to(number: int) -> str:
    """ "one, two, three." """
    return ", ".join(spelled(value) for value in range(1, min(number, 100) + 1)) + "."


def _number_in(text: str) -> int | None:
    """The last number up to a hundred in a text, in digits or words."""
    found: int | None = None
    for word in words_of(text):
        if word.isdigit():
            found = int(word)
        elif word == "hundred":
            found = 100
        elif word in _UNITS:
            unit = _UNITS.index(word)
            found = found + unit if found is not None and found >= 20 and found % 10 == 0 and unit < 10 else unit
        elif word in _TENS:
            found = _TENS.index(word) * 10
    return found if found is None or 1 <= found <= 100 else 100


def _seconds_in(text: str) -> int:
    """How long a timer is to run; ten seconds where nothing is said."""
    number = _number_in(text) or (1 if "minute" in text else 10)
    return number * (60 if "minute" in text else 1)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    number, unit = (minutes, "minute") if minutes and not rest else (seconds, "second")
    return f"{spelled(number)} {unit}{'' if number == 1 else 's'}"


def _calculate(text: str) -> str | None:
    """ "what is two plus three" -> a sentence; None for everything else."""
    words = re.findall(r"[a-z]+|\d+|[+*-]", text.lower())
    places = [place for place, word in enumerate(words) if word in _OPERATORS and 0 < place < len(words) - 1]
    for place in places:
        left, right = _number_in(words[place - 1]), _number_in(" ".join(words[place + 1 : place + 3]))
        if left is None or right is None:
            continue
        sign = _OPERATORS[words[place]]
        result = left + right if sign == "+" else left - right if sign == "-" else left * right
        name = {"+": "plus", "-": "minus", "*": "times"}[sign]
        return f"{spelled(left).capitalize()} {name} {spelled(right)} is {result}."
    return None


def _last_heard(history: Sequence[ChatMessage]) -> str:
    return next((message.text for message in reversed(history) if message.role == "assistant"), "")


def _rest_of_story(history: Sequence[ChatMessage]) -> str:
    """The story from the first word that has not been heard; "" when none was begun or all was told."""
    told = 0
    for message in history:
        if message.role == "assistant":
            told = _told_with(" ".join(message.text.split()), told)
    return STORY[told:].lstrip() if told else ""


def _told_with(text: str, told: int) -> int:
    """How many characters of the story are told once ``text`` was heard, after ``told`` of them."""
    for begin in (0, told):
        start = begin + len(STORY[begin:]) - len(STORY[begin:].lstrip())
        place = text.find(STORY[start : start + 12])
        if place >= 0 and text:
            heard = zip(text[place:], STORY[start:], strict=False)
            return start + len(list(takewhile(lambda pair: pair[0] == pair[1], heard)))
    return told


def _clock_words(now: datetime) -> str:
    hour = now.hour % 12 or 12
    part = "in the morning" if now.hour < 12 else "in the afternoon" if now.hour < 18 else "in the evening"
    minute = "o'clock" if now.minute == 0 else f"oh {_UNITS[now.minute]}" if now.minute < 10 else spelled(now.minute)
    return f"{spelled(hour)} {minute} {part}"


def _ordinal(day: int) -> str:
    suffix = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


def _label(voice: Voice) -> str:
    return voice.speaker or voice.model
