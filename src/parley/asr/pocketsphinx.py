"""The embedded recogniser: CMU PocketSphinx with its own model of US English. Offline, in its own processes.

It is a fallback for quiet rooms, made usable by hearing every turn twice: with the open vocabulary
of its package, and with a small language model of phrases that are likely to be said. The path
scores of the two say which one fits: for a known phrase the small model's is better though it
knows 0.1 % of the words, for anything else the open one's is.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.asr.decoder import RATE, Cut, DecoderSpec
from parley.asr.phrase_model import arpa, words_of
from parley.asr.processes import ProcessRecognizer
from parley.asr.stretches import certain
from parley.values import Transcript, TranscriptWord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parley.asr.settings import AsrSettings

EVERYDAY = (
    "yes", "yes please", "yeah", "yep", "no", "no thank you", "no thanks", "nope", "okay", "ok", "right", "sure",
    "alright", "all right", "fine", "good", "great", "hm", "hmm", "uh huh", "aha", "oh", "i see", "really", "wow",
    "stop", "wait", "wait a moment", "wait a minute", "wait wait", "hold on", "hang on", "one moment", "stop it",
    "please stop", "be quiet", "go on", "go ahead", "continue", "repeat that", "say that again", "what", "why",
    "pardon", "sorry", "thanks", "thank you", "hello", "hi", "goodbye", "bye",
)  # fmt: skip
"""What anybody may say to anything: always part of the small model."""
_FRAMES_PER_SECOND = 100
_PRIOR, _MOST = 500, 800
"""Frames that the library counts an estimate for: at first, and at the most."""
_BLOCK = 3_200
"""Bytes decoded at once, whatever pieces the audio comes in: so the same audio is always heard the same."""
_REJECT = 0.00015
"""The small model must win by this much per frame: measured in between known and unknown phrases."""
_MOST_STATES = 5_000
"""Kept per frame: measured, a third faster than the library's 30,000, and the words are the same."""
_KNOWN, _AGREED, _ALONE = 0.9, 0.5, 0.3
"""Confidence when both models hear a phrase that is known, when they hear the same other words, and with only one
to go by: it is wrong more often than right."""
_SILENCES = ("<s>", "</s>", "<sil>", "[SPEECH]", "[NOISE]", "[COUGH]", "[SMACK]", "[BREATH]", "[UH]", "[UM]")


def _as_heard(phrases: Iterable[str]) -> frozenset[str]:
    """Phrases spelt as a search would return them."""
    return frozenset(" ".join(words_of(phrase)) for phrase in phrases)


def create(settings: AsrSettings) -> ProcessRecognizer:
    """The recogniser for these settings; nothing is loaded yet."""
    arguments = {"phrases": [*settings.phrases, *settings.hot_words], "interval": settings.partial_interval}
    return ProcessRecognizer(DecoderSpec("pocketsphinx", "parley.asr.pocketsphinx:SphinxDecoder", arguments), settings)


class _Search:
    """One PocketSphinx decoder over the turn."""

    def __init__(self, **options: Any) -> None:
        import pocketsphinx

        # The passes that these two switch off take 100 to 230 ms after the turn's end, without them 10.
        self.decoder = pocketsphinx.Decoder(
            fwdflat=False, bestpath=False, maxhmmpf=_MOST_STATES, loglevel="FATAL", **options
        )
        self._unknown = self.microphone
        # Something in the search differs until it has been through a turn: from now on all are heard alike.
        self.start("")
        self.feed(bytes(RATE))
        self.decoder.end_utt()

    @property
    def microphone(self) -> str:
        """The estimate of how the microphone sounds (the cepstral mean); after a turn, from this turn alone."""
        return str(self.decoder.get_cmn(False))

    def start(self, microphone: str) -> None:
        """Begin a turn with this estimate (empty: the model's own); of the turn before nothing is left."""
        self.decoder.reinit_feat()  # forgets the estimate of the noise, too
        self.decoder.set_cmn(microphone or self._unknown)
        self.decoder.start_utt()

    def feed(self, pcm: bytes) -> None:
        self.decoder.process_raw(pcm, False, False)

    def result(self) -> tuple[str, float]:
        """Words so far, and the path's score per frame."""
        hypothesis, frames = self.decoder.hyp(), self.decoder.n_frames()
        if hypothesis is None or not frames:
            return "", float("-inf")
        return hypothesis.hypstr, hypothesis.best_score / frames

    def words(self) -> tuple[TranscriptWord, ...]:
        """The words with their times."""
        found = []
        for segment in self.decoder.seg() or ():
            word = segment.word.partition("(")[0]
            if word and word not in _SILENCES and not word.startswith(("<", "[", "+")):
                start, end = segment.start_frame, segment.end_frame + 1
                found.append(TranscriptWord(word, start / _FRAMES_PER_SECOND, end / _FRAMES_PER_SECOND))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Microphone:
    """How a microphone sounds, over the turns of a session: that saves a third of the errors, for the same one.

    Reckoned as the library does while it hears turn after turn: it counts what it is given at a turn's beginning as
    500 frames, whatever it has heard, and halves the past when that has become 800.
    """

    mean: tuple[float, ...] = ()
    frames: int = _PRIOR
    """What the mean counts for."""

    def after(self, estimate: str, frames: int) -> Microphone:
        """With another turn of so many frames, for which the library says ``estimate``."""
        said = tuple(float(value) for value in estimate.split(","))
        total = self.frames + frames
        share = (_PRIOR + frames) / total if self.mean and total <= _MOST else 1.0
        mean = tuple(round(old + (new - old) * share, 4) for old, new in zip(self.mean or said, said, strict=True))
        return Microphone(mean, total if total <= _MOST else _PRIOR)

    @property
    def estimate(self) -> str:
        """As the engine writes it; empty when nothing is known."""
        return ",".join(map(str, self.mean))

    def pack(self) -> str:
        return json.dumps([self.mean, self.frames])

    @classmethod
    def unpack(cls, memory: str) -> Microphone:
        """Of nothing: one that nothing is known of."""
        if not memory:
            return cls()
        mean, frames = json.loads(memory)
        return cls(tuple(mean), frames)


class SphinxDecoder:
    """Hears one turn at a time with both language models. Also usable without a process around it."""

    def __init__(self, phrases: Sequence[str] = (), interval: float = 0.3) -> None:
        self._phrases = (*EVERYDAY, *phrases)
        self._known = _as_heard(self._phrases)
        self._usual: _Search | None = None
        self._told_of: tuple[Sequence[str], _Search | None] = ((), None)
        """The hot words of the newest turn that had any, and the search that knows them, too."""
        self._interval_bytes = int(interval * 32_000)
        self._open: _Search | None = None
        self._small: _Search | None = None
        self._running = False
        self._microphone = Microphone()
        self._waiting = bytearray()
        self._heard = 0
        self.memory = ""
        self._since = 0
        self._told = ""

    def load(self) -> None:
        """Read the acoustic model and dictionary (0.5 s, 95 MB) and build the small language model."""
        self._open = _Search()
        self._small = self._usual = self._small_search(self._phrases)

    def start(self, language: str, memory: str, hot_words: Sequence[str] = ()) -> None:
        """Begin a turn, or its next stretch; hot words of its own are phrases, as those of the settings are."""
        if self._open is None:
            self.load()
        self._stop()
        self._expect(hot_words)
        self._microphone = Microphone.unpack(memory)
        for search in self._searches():
            search.start(self._microphone.estimate)
        self._running = True
        self._heard = self._since = 0
        self._told = ""
        self._waiting.clear()

    def feed(self, pcm: bytes) -> Transcript | None:
        """Hear more; tell the words when they have changed, at most once per interval."""
        self._waiting += pcm
        whole = len(self._waiting) // _BLOCK * _BLOCK
        self._hear(whole)
        self._since += len(pcm)
        if self._since < self._interval_bytes:
            return None
        self._since = 0
        text = self._better().result()[0]
        if not text or text == self._told:
            return None
        self._told = text
        return Transcript(text, language="en-US", confidence=self._confidence())

    def pause(self) -> Transcript:
        """Tell the words so far."""
        self._since = 0
        self._told = text = self._better().result()[0]
        return Transcript(text, language="en-US", confidence=self._confidence(), covered=self._heard / RATE)

    def finish(self) -> Transcript:
        """End the turn."""
        self._stop()
        best = self._better()
        text = best.result()[0]
        return Transcript(
            text,
            final=True,
            stable=len(text),
            words=best.words() if text else (),
            language="en-US",
            confidence=self._confidence(),
        )

    def cut(self) -> Cut:
        """Leave the turn after its last whole word."""
        self._stop()
        words, end = certain(self._better().words(), self._heard / RATE)
        text = " ".join(word.text for word in words)
        said = Transcript(text, stable=len(text), words=words, language="en-US", confidence=self._confidence())
        return Cut(said, int(end * RATE))

    def _hear(self, size: int) -> None:
        """Decode the first ``size`` waiting bytes, block by block: the engine adapts to the microphone after each."""
        for start in range(0, size, _BLOCK):
            block = bytes(self._waiting[start : min(start + _BLOCK, size)])
            for search in self._searches():
                search.feed(block)
        del self._waiting[:size]
        self._heard += size // 2

    def _stop(self) -> None:
        if self._running:
            assert self._open is not None
            self._running = False
            self._hear(len(self._waiting))
            for search in self._searches():
                search.decoder.end_utt()
            self.memory = self._microphone.after(self._open.microphone, self._open.decoder.n_frames()).pack()

    def _searches(self) -> Iterable[_Search]:
        assert self._open is not None
        return (self._open, self._small) if self._small else (self._open,)

    def _better(self) -> _Search:
        assert self._open is not None
        if self._small is None:
            return self._open
        (_, open_score), (text, small_score) = self._open.result(), self._small.result()
        return self._small if text and small_score - open_score > _REJECT else self._open

    def _confidence(self) -> float:
        """Two language models that hear the same words are seldom both wrong, least of all about a whole phrase."""
        assert self._open is not None
        heard = self._open.result()[0]
        if self._small is None or heard != self._small.result()[0]:
            return _ALONE
        return _KNOWN if heard in self._known else _AGREED

    def _expect(self, hot_words: Sequence[str]) -> None:
        """Listen for these phrases beside the usual ones: 20 to 50 ms where the turn before had others."""
        phrases = (*self._phrases, *hot_words)
        self._known = _as_heard(phrases)
        if not hot_words:
            self._small = self._usual
            return
        if self._told_of[0] != hot_words:
            self._told_of = (hot_words, self._small_search(phrases))
        self._small = self._told_of[1]

    def _small_search(self, phrases: Sequence[str]) -> _Search | None:
        """A decoder that knows only these phrases' words; phrases with a word it cannot say are left out."""
        assert self._open is not None
        spoken = {word: self._pronunciations(word) for phrase in phrases for word in words_of(phrase)}
        known = [words for phrase in phrases if (words := words_of(phrase)) and all(spoken[w] for w in words)]
        if not known:
            return None
        lines = [line for word in sorted({w for words in known for w in words}) for line in spoken[word]]
        with tempfile.TemporaryDirectory(prefix="parley-phrases-") as folder:
            dictionary, model = Path(folder, "words.dict"), Path(folder, "phrases.lm")
            dictionary.write_text("\n".join(lines) + "\n")
            model.write_text(arpa(known))
            return _Search(dict=str(dictionary), lm=str(model))

    def _pronunciations(self, word: str) -> list[str]:
        """Dictionary lines for every way to say a word; none when it is not in the dictionary."""
        assert self._open is not None
        lines: list[str] = []
        spelling = word
        while phones := self._open.decoder.lookup_word(spelling):
            lines.append(f"{spelling} {phones}")
            spelling = f"{word}({len(lines) + 1})"
        return lines
