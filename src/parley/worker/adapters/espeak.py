"""The embedded voice: libespeak-ng out of the ``espeakng-loader`` wheel.

Formant synthesis, a hundred languages, a thousand times faster than real time. The library is
GPL-3.0-or-later, keeps its state in globals and is not re-entrant, so it runs in a process of its
own. Its wave generator also remembers things between calls that nothing resets; it is therefore
loaded afresh for each text (0.4 ms), and the same text always gives the same samples.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.audio.frame import WordMark
from parley.errors import ConfigError, EngineError, NotFound
from parley.hints import install_packages
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.espeak_names import voice_name
from parley.worker.pack import PackFile, PackOption, VoicePack, no_such_speaker
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEAKERS = (
    "klatt3", "klatt", "klatt2", "klatt4", "klatt5", "klatt6", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3",
    "m4", "m5", "m6", "m7", "m8", "whisper", "whisperf", "croak",
)  # fmt: skip
"""Variants that every language can be spoken in, the default first."""
LANGUAGES = (
    "en", "en-US", "en-GB", "en-GB-scotland", "de", "fr", "es", "es-419", "it", "pt", "pt-BR", "nl", "pl", "ru", "uk",
    "cs", "sk", "hu", "ro", "bg", "el", "tr", "sv", "nb", "da", "fi", "et", "lv", "lt", "hr", "sr", "sl", "ca", "eu",
    "ga", "cy", "is", "eo", "la", "ar", "he", "fa", "hi", "bn", "ta", "te", "ur", "th", "vi", "id", "ms", "sw", "ja",
    "ko", "cmn", "yue",
)  # fmt: skip
"""BCP 47 tags that are announced; any other that the library knows works too, and other spellings of these."""
_WORDS_PER_MINUTE = 175
_WORD, _END = 1, 5
_SYNCHRONOUS, _DONT_EXIT, _UTF8, _RATE_PARAMETER = 2, 0x8000, 1, 1
_BLOCKS_AHEAD = 2
_QUIET = 60
"""What is no louder, as s16, is silence."""
_SOFT = (",", ";", ":", "—", "–", "、", "，", "；", "：")
_CLAUSE_PAUSE = 0.13
"""Seconds, as the library rests between two clauses of a text."""


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_Item = SynthesizedAudio | BaseException | None


class EspeakAdapter:
    """espeak-ng as a family: one model, many languages and speakers."""

    files: ClassVar[Mapping[str, PackFile]] = {}
    options: ClassVar[Mapping[str, PackOption]] = {
        "variant": PackOption("Speaker used when none is asked for: a variant of espeak-ng.", SPEAKERS[0]),
        "language": PackOption("Language used when none is asked for (BCP 47).", "en-US"),
        "sentence_pause": PackOption("Silence between two sentences, in seconds.", 0.2, ge=0, le=2),
    }

    def __init__(self, pack: VoicePack) -> None:
        self.info = pack.info
        pack = replace(pack, options=pack.filled(self.options))
        self._variant = str(pack.options["variant"])
        self._language = str(pack.options["language"])
        self.sentence_pause = pack.options["sentence_pause"]
        self._library: Path | None = None
        self._copy = contextlib.ExitStack()
        self._data = ""
        self._voices: tuple[str, ...] = ()

    def load(self) -> None:
        """Copy the library to a private file, so that its globals are this adapter's alone, and try it.

        Raises ConfigError when the wheel is missing or does not work here.
        """
        try:
            import espeakng_loader
        except ImportError as error:
            raise ConfigError(
                f"The package espeakng-loader is missing; install it with: {install_packages('espeakng-loader')}."
            ) from error
        source, self._data = Path(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
        self._library = _private_copy(source, self._copy)
        self._voices = tuple(path.name for path in Path(self._data, "lang").rglob("*") if path.is_file())
        for _ in self.synthesize("Hello.", voice=Voice()):
            pass

    def unload(self) -> None:
        self._library = None
        self._copy.close()

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Yield blocks of about 60 ms at 22.05 kHz, with the engine's own word times, each with or before its sound.

        Speeds outside 80 to 450 words a minute (0.46 to 2.57) are held at those bounds. Raises
        NotFound for a language or a speaker that the library does not have.
        """
        assert self._library is not None, "load() comes first"
        name = f"{self._language_name(voice.language)}+{self._speaker(voice.speaker)}"
        run = _Run(self._library, self._data, name, text, round(_WORDS_PER_MINUTE * voice.speed))
        thread = threading.Thread(target=run.speak, name="espeak", daemon=True)
        thread.start()
        rate = 0
        try:
            while (item := run.blocks.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                rate = item.sample_rate
                yield item
        finally:
            run.cancel()
            thread.join()
        if text.rstrip().endswith(_SOFT):  # the library rests there only where the text goes on
            yield SynthesizedAudio(np.zeros(round(_CLAUSE_PAUSE * rate), np.int16), rate)

    def spoken_language(self, voice: Voice) -> str:
        """The pack's own language."""
        return self._language

    def _speaker(self, name: str) -> str:
        speaker = name or self._variant
        if not Path(self._data, "voices", "!v", speaker).is_file() or "/" in speaker or "\\" in speaker:
            raise NotFound(no_such_speaker(self.info.model_id, speaker, self.info.speakers or SPEAKERS))
        return speaker

    def _language_name(self, tag: str) -> str:
        """The library's name for the nearest of its languages."""
        name = voice_name(self._voices, tag or self._language)
        if name is None:
            raise NotFound(f"The model {self.info.model_id} does not speak {tag!r}; it knows {', '.join(LANGUAGES)}.")
        return name


def _private_copy(source: Path, until: contextlib.ExitStack) -> Path:
    """A path of the same library that nobody else opens; it goes with ``until``.

    In memory where the system can do that, since a file would outlive a process that is killed.
    """
    if hasattr(os, "memfd_create"):
        file = until.enter_context(os.fdopen(os.memfd_create(source.name), "wb"))
        file.write(source.read_bytes())
        file.flush()
        return Path(f"/proc/self/fd/{file.fileno()}")
    folder = Path(until.enter_context(tempfile.TemporaryDirectory(prefix="parley-espeak-")))
    return Path(shutil.copyfile(source, folder / source.name))


@dataclass(slots=True)
class _Run:
    """One text through one fresh instance of the library, on a thread of its own."""

    library: Path
    data: str
    voice: str
    text: str
    words_per_minute: int
    blocks: queue.Queue[_Item] = field(default_factory=lambda: queue.Queue(_BLOCKS_AHEAD))
    cancelled: threading.Event = field(default_factory=threading.Event)
    _rate: int = 0
    spans: list[tuple[int, int]] = field(init=False)
    """The words of the text."""
    _next_word: int = 0
    """Words before this one have begun."""
    _marked: int = 0
    """Words before this one have their mark."""
    _began: int = -1
    """Sample at which the words that have no mark yet began; -1 when there are none."""
    _marks: list[WordMark] = field(default_factory=list)
    _held: deque[NDArray[np.int16]] = field(default_factory=deque)
    """Blocks that wait: a word begins in them whose end, and so its mark, is not known yet."""
    _made: int = 0
    _passed: int = 0
    """Samples that the engine has made, and those that were passed on."""

    def __post_init__(self) -> None:
        self.spans = words(self.text)

    def cancel(self) -> None:
        """Let the engine stop after the block it is at, and the thread end."""
        self.cancelled.set()
        while True:
            try:
                self.blocks.get_nowait()
            except queue.Empty:
                return

    def speak(self) -> None:
        """Load the library, speak, let go of it. Ends the stream with None or with what went wrong."""
        ending: _Item = None
        try:
            engine = ctypes.CDLL(str(self.library))
            try:
                self._run(engine)
            finally:
                engine.espeak_Terminate()
                _close(engine)
        except (OSError, EngineError, NotFound) as error:
            ending = error if not isinstance(error, OSError) else EngineError(f"espeak-ng can not be loaded: {error}.")
        self._put(ending)

    def _run(self, engine: Any) -> None:
        self._rate = engine.espeak_Initialize(_SYNCHRONOUS, 0, self.data.encode(), _DONT_EXIT)
        if self._rate <= 0:
            raise EngineError(f"espeak-ng can not read its data in {self.data}.")
        if engine.espeak_SetVoiceByName(self.voice.encode()) != 0:
            raise NotFound(f"espeak-ng has no voice {self.voice!r}.")
        engine.espeak_SetParameter(_RATE_PARAMETER, max(80, min(450, self.words_per_minute)), 0)
        callback = _Callback(self._block)
        engine.espeak_SetSynthCallback(callback)
        data = self.text.replace("\0", " ").encode() + b"\0"
        engine.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        if not self.cancelled.is_set():
            self._pass_on(self._made)
            self._put(SynthesizedAudio(np.zeros(0, np.int16), self._rate, tuple(self._marks)))

    def _block(self, samples: Any, count: int, events: Any) -> int:
        """Called by the library about every 60 ms of audio; 1 stops it."""
        if samples and count:
            self._held.append(np.frombuffer(ctypes.string_at(samples, 2 * count), np.int16))
            self._made += count
        index = 0
        while events[index].type:
            self._note(events[index])
            index += 1
        self._pass_on(self._began if self._began >= 0 else self._made)
        return 1 if self.cancelled.is_set() else 0

    def _pass_on(self, until: int) -> None:
        """Hand over the blocks that end by a sample: a mark never comes after the sound of its word has begun."""
        while self._held and self._passed + self._held[0].size <= until:
            block = self._held.popleft()
            self._passed += block.size
            marks, self._marks = tuple(self._marks), []
            self._put(SynthesizedAudio(block, self._rate, marks))

    def _note(self, event: Any) -> None:
        """Turn word events into marks: a word ends where the next one, or the clause's end, begins, or before a rest.

        The library's own positions wander in numbers and abbreviations, so an event counts for the
        word of the text that it falls into; words that it passes over share the time of the last one.
        """
        if event.type == _END:
            passed = max(self._next_word, self._index_of(event.text_position - 1))
            self._close_words(event.sample, passed)
            self._next_word = passed
        elif event.type == _WORD:
            index = self._index_of(event.text_position - 1)
            if index >= self._next_word:
                self._close_words(event.sample, index)
                self._began, self._next_word = event.sample, index + 1

    def _index_of(self, position: int) -> int:
        """The word that ``position`` falls into, or the next one after it."""
        for index, (_, end) in enumerate(self.spans):
            if position < end:
                return index
        return len(self.spans)

    def _close_words(self, sample: int, until: int) -> None:
        """The words not yet marked, up to ``until``, have been spoken by ``sample``."""
        if self._began >= 0:
            spans = self.spans[self._marked : until]
            end = self._sound_until(self._began, sample)
            self._marks.extend(proportional_marks(self.text, spans, self._began, max(0, end - self._began)))
            self._marked = max(self._marked, until)
        self._began = -1 if until == self._next_word else sample

    def _sound_until(self, first: int, end: int) -> int:
        """Where the sound between two samples ends: a rest behind a word is no part of it."""
        held = np.concatenate([*self._held, np.zeros(0, np.int16)])[max(0, first - self._passed) : end - self._passed]
        loud = np.flatnonzero(np.abs(held.astype(np.int32)) > _QUIET)
        return end - (held.size - int(loud[-1]) - 1) if loud.size else end

    def _put(self, item: _Item) -> None:
        """Hand over one block; gives up when nobody listens any more."""
        while True:
            try:
                self.blocks.put(item, timeout=None if not self.cancelled.is_set() else 0)
                return
            except queue.Full:
                return


def _close(engine: Any) -> None:
    """Unmap the library, so that the next load starts from its initial state."""
    import _ctypes

    close = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary  # type: ignore[attr-defined]
    close(engine._handle)
