"""The contract that every voice adapter keeps, as a suite that any package can run.

Subclass :class:`AdapterContract`, say how an adapter is made, and let pytest collect it::

    class TestMyAdapter(AdapterContract):
        def make_adapter(self) -> TtsAdapter:
            return MyAdapter(self.pack("my-family", "my-model"))

Each test states one fact. The tests go through the pipeline that a worker uses (engine thread or
process, framing at 48 kHz, utterances that can be held and stopped), so that what passes here
works there. They need neither a network nor any pytest plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, AudioFrame
from parley.audio.reference import RATE
from parley.audio.wav import write_wav
from parley.errors import EngineError, InvalidRequest, NotFound, ParleyError, RequestError
from parley.interfaces import TtsAdapter
from parley.text.speech.normaliser import Normaliser
from parley.values import ModelInfo, SynthesizedAudio, Voice
from parley.worker.engine_pool import EnginePool
from parley.worker.framing import FramingOptions
from parley.worker.memory import process_memory
from parley.worker.pack import VoicePack
from parley.worker.runner import ThreadEngine
from parley.worker.utterance import Utterance, UtteranceLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXT = "Hello there, how are you today? The quick brown fox jumps over the lazy dog. It costs forty two euros."
"""Three sentences, so that a voice that streams by sentence shows it."""
OTHER = "One more thing. Please call me back tomorrow morning."
_LEAVE = 2.0
"""Seconds that a helper thread may take to notice that its text was cancelled."""
_MOST_CHUNKS = 100_000


class AdapterContract:
    """Facts that hold for every adapter. Override the attributes where your voice differs."""

    text: ClassVar[str] = TEXT
    other_text: ClassVar[str] = OTHER
    speakers: ClassVar[Sequence[str]] = ()
    """Speakers to try by name; empty for a voice with one."""
    guesses_marks = False
    """Its engine does not say when words sound, and its audio leaves before it is whole: the end of the word that is
    being spoken is a guess, which may lie behind the audio's end."""
    changes_speed: ClassVar[bool] = True
    """False for a voice that refuses any speed but 1."""
    repeatable: ClassVar[bool] = False
    """True when the same text gives the same samples each time; False compares lengths, within ``tolerance``."""
    tolerance: ClassVar[float] = 0.02
    """Largest difference between two lengths of the same text, as a share."""
    isolated: ClassVar[bool] = False
    """True to run the engine in a process of its own, as a worker does for families that ask for it."""

    wait: ClassVar[float] = 60.0
    """Seconds that loading and speaking a few texts may take."""

    # --- what a subclass says ---

    def make_adapter(self) -> TtsAdapter:
        """A fresh adapter, not loaded. Called once or more in a test."""
        raise NotImplementedError

    def make_heavy_adapter(self) -> tuple[TtsAdapter, int] | None:
        """An adapter whose model takes about that many bytes, or None to skip the test of memory."""
        return None

    def break_files(self) -> TtsAdapter | None:
        """An adapter whose files are broken, or None to skip; loading it must say what is wrong."""
        return None

    def voices(self) -> Path | None:
        """Where recordings lie that are added to its pack, or None for a family that does not clone."""
        return None

    @staticmethod
    def pack(family: str, model_id: str, folder: Path | None = None, **options: Any) -> VoicePack:
        """A pack for adapters that need no metadata file."""
        return VoicePack(ModelInfo(model_id, family), folder, options=options)

    # --- what it is ---

    def test_it_says_what_it_is_before_it_is_loaded(self) -> None:
        info = self.make_adapter().info
        assert info.model_id
        assert info.family
        assert info.languages
        assert 8_000 <= info.sample_rate <= 192_000
        assert info.concurrency >= 1

    def test_it_can_be_sent_to_another_process_before_it_is_loaded(self) -> None:
        adapter = self.make_adapter()
        assert pickle.loads(pickle.dumps(adapter)).info == adapter.info  # noqa: S301 - our own bytes

    # --- audio ---

    def test_it_speaks_audible_audio_at_its_own_rate(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            chunks = speak(adapter, self.text)
            samples = joined(chunks)
            assert {chunk.sample_rate for chunk in chunks} == {adapter.info.sample_rate}
            assert all(chunk.samples.ndim == 1 for chunk in chunks)
            assert samples.size > adapter.info.sample_rate / 2, "shorter than half a second"
            assert np.isfinite(samples).all()
            assert 0.001 < float(np.abs(samples).max()) <= 1.0

    def test_the_first_chunk_leaves_before_the_last_is_made(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            sizes = [chunk.samples.size for chunk in speak(adapter, self.text)]
            sizes = [size for size in sizes if size]
            assert len(sizes) > 1, "the whole text came as one chunk"
            assert sizes[0] < 0.8 * sum(sizes)

    def test_frames_are_20_ms_at_48_khz_without_a_gap_and_the_last_one_is_final(self) -> None:
        frames = self.run(_say_all, self.text)
        assert all(len(frame.pcm) == FRAME_BYTES and frame.sample_rate == 48_000 for frame in frames)
        assert [frame.sequence for frame in frames] == list(range(len(frames)))
        assert [frame.start_sample for frame in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]
        assert [frame.final for frame in frames] == [False] * (len(frames) - 1) + [True]

    def test_a_faster_voice_takes_less_time(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            if not self.changes_speed:
                with _raises(InvalidRequest):
                    speak(adapter, self.text, Voice(speed=1.5))
                return
            slow, fast = speak(adapter, self.text), speak(adapter, self.text, Voice(speed=1.5))
            assert joined(fast).size < 0.9 * joined(slow).size

    def test_each_speaker_speaks(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            for speaker in self.speakers:
                assert joined(speak(adapter, "Hello there.", Voice(speaker=speaker))).size

    def test_text_without_a_word_does_no_harm(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            with contextlib.suppress(RequestError):  # a refusal is as good as silence
                speak(adapter, "... !")
            assert joined(speak(adapter, self.text)).size

    def test_text_in_any_script_does_no_harm(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            for text in ("Grüße & <b>1/2</b> 🙂 done.", "\u202eабв 你好 \x00 end."):
                try:
                    speak(adapter, text)
                except RequestError:
                    continue
            assert joined(speak(adapter, self.text)).size

    # --- marks ---

    def test_marks_name_words_in_order_and_stay_inside_text_and_audio(self) -> None:
        frames = self.run(_say_all, self.text)
        marks = [mark for frame in frames for mark in frame.marks]
        end = frames[-1].end_sample
        assert len(marks) >= 0.8 * len(self.text.split())
        assert all(0 <= mark.text_start < mark.text_end <= len(self.text) for mark in marks)
        assert all(0 <= mark.start_sample <= mark.end_sample for mark in marks)
        assert all((mark.start_sample if self.guesses_marks else mark.end_sample) <= end for mark in marks)
        assert [mark.text_start for mark in marks] == sorted({mark.text_start for mark in marks})
        assert [mark.start_sample for mark in marks] == sorted(mark.start_sample for mark in marks)
        assert all(self.text[mark.text_start : mark.text_end].strip() for mark in marks)
        last = max(mark.end_sample for mark in marks)
        assert last > 0.5 * end, "the marks end long before the audio"

    # --- sessions do not mix ---

    def test_two_sessions_on_one_model_get_what_each_would_get_alone(self) -> None:
        async def both(pool: EnginePool) -> tuple[list[AudioFrame], list[AudioFrame]]:
            return await asyncio.gather(_say(pool, self.text), _say(pool, self.other_text))

        alone = self.run(_say_all, self.text), self.run(_say_all, self.other_text)
        together = self.run(both)
        for one, other in zip(alone, together, strict=True):
            self.assert_same_speech(one, other)
            assert _words(one, self.text) == _words(other, self.text)

    def test_a_second_utterance_does_not_depend_on_the_first(self) -> None:
        async def twice(pool: EnginePool) -> list[AudioFrame]:
            await _say(pool, self.other_text)
            return await _say(pool, self.text)

        self.assert_same_speech(self.run(_say_all, self.text), self.run(twice))

    # --- held, resumed, stopped ---

    def test_no_frame_leaves_while_it_is_held_and_the_rest_follows_without_a_gap(self) -> None:
        async def hold(pool: EnginePool) -> tuple[list[AudioFrame], int, bool, list[AudioFrame]]:
            utterance = _begin(pool, self.text)
            before = await utterance.next_frames(3)
            reached = utterance.pause()
            waiting = asyncio.ensure_future(utterance.next_frames(1))
            for _ in range(20):
                await asyncio.sleep(0)
            silent = not waiting.done()
            utterance.resume()
            after = await waiting
            after += await _rest(utterance)
            return before, reached, silent, after

        before, reached, silent, after = self.run(hold)
        assert reached == before[-1].sequence
        assert silent
        assert [frame.sequence for frame in after] == list(range(reached + 1, after[-1].sequence + 1))
        self.assert_same_speech(self.run(_say_all, self.text), before + after)

    def test_stopping_ends_the_utterance_and_the_next_one_is_whole(self) -> None:
        async def stop(pool: EnginePool) -> tuple[list[AudioFrame], list[AudioFrame]]:
            utterance = _begin(pool, self.text)
            await utterance.next_frames(2)
            utterance.stop()
            dropped = await _rest(utterance)
            return dropped, await _say(pool, self.other_text)

        dropped, following = self.run(stop)
        assert dropped == []
        self.assert_same_speech(self.run(_say_all, self.other_text), following)

    def test_a_cancel_takes_effect_within_one_chunk(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            whole = joined(speak(adapter, self.text)).size
            threads = set(threading.enumerate())
            audio = adapter.synthesize(self.text, voice=Voice())
            next(audio)
            audio.close()
            assert next(audio, None) is None
            for thread in set(threading.enumerate()) - threads:
                thread.join(_LEAVE)
                assert not thread.is_alive(), f"{thread.name} of the cancelled text is still at work"
            again = joined(speak(adapter, self.text)).size
            assert again <= (1.2 + self.tolerance) * whole, "the cancelled text came back"

    # --- voices that come and go ---

    def test_a_recording_that_comes_speaks_and_one_that_goes_is_forgotten(self) -> None:
        folder = self.voices()
        if folder is None:
            return
        folder.mkdir(exist_ok=True)
        cloner: Any
        with _Loaded(self.make_adapter()) as cloner:
            heard = []
            for pitch in (150, 400):
                _keep_recording(folder, "visitor", pitch)
                cloner.take_voice("visitor")
                heard.append(joined(speak(cloner, "Hello there.", Voice(speaker="visitor"))))
                for file in folder.glob("visitor.*"):
                    file.unlink()
                cloner.drop_voice("visitor")
                with _raises(NotFound):
                    speak(cloner, "Hello there.", Voice(speaker="visitor"))
            assert all(sound.size for sound in heard)
            if self.repeatable:
                assert not np.array_equal(*heard), "the second recording speaks as the first one did"
            assert joined(speak(cloner, "Hello there.")).size, "those who were there before speak no more"

    # --- mistakes ---

    def test_an_unknown_speaker_is_refused_by_name(self) -> None:
        with _Loaded(self.make_adapter()) as adapter:
            if not adapter.info.speakers and not self.speakers:
                return
            with _raises(NotFound) as caught:
                speak(adapter, "Hello.", Voice(speaker="nobody-of-that-name"))
            assert "nobody-of-that-name" in str(caught.error)

    def test_broken_files_are_named_when_loading(self) -> None:
        adapter = self.break_files()
        if adapter is None:
            return
        with _raises(ParleyError) as caught:
            adapter.load()
        assert "/" in str(caught.error), "the message names no file"
        assert str(caught.error).endswith(".")

    def test_nothing_is_spoken_after_unload_and_loading_again_helps(self) -> None:
        adapter = self.make_adapter()
        adapter.load()
        adapter.unload()
        adapter.unload()
        try:
            with contextlib.suppress(EngineError, AssertionError):
                assert not joined(speak(adapter, "Hello.")).size
            adapter.load()
            assert joined(speak(adapter, "Hello there.")).size
        finally:
            adapter.unload()

    # --- memory ---

    def test_unload_gives_the_memory_back(self) -> None:
        made = self.make_heavy_adapter()
        if made is None:
            return
        adapter, expected = made
        adapter.load()
        speak(adapter, "Hello there.")
        adapter.unload()
        gc.collect()
        empty = process_memory()
        adapter.load()
        speak(adapter, "Hello there.")
        loaded = process_memory()
        adapter.unload()
        gc.collect()
        left = process_memory() - empty
        assert loaded - empty > 0.5 * expected, "the model is smaller than it says"
        assert left < 0.3 * expected, f"{left / 1e6:.0f} of {expected / 1e6:.0f} MB stayed"

    def test_loading_again_and_again_does_not_grow(self) -> None:
        adapter = self.make_adapter()
        sizes = []
        for _ in range(6):
            adapter.load()
            speak(adapter, "Hello there.")
            adapter.unload()
            gc.collect()
            sizes.append(process_memory())
        assert sizes[-1] - sizes[1] < 24_000_000

    # --- running it ---

    def run(self, action: Any, *arguments: Any) -> Any:
        """Run ``action(pool, *arguments)`` on a freshly loaded engine, as a worker would."""

        async def go() -> Any:
            adapter = self.make_adapter()
            pool = EnginePool(adapter.info, [self._engine(adapter)])
            async with asyncio.timeout(self.wait):
                await pool.load(measure=False)
                try:
                    return await action(pool, *arguments)
                finally:
                    await pool.unload()

        return asyncio.run(go())

    def _engine(self, adapter: TtsAdapter) -> Any:
        if self.isolated:
            from parley.worker.engine_process import ProcessEngine

            return ProcessEngine(adapter)
        return ThreadEngine(adapter)

    def assert_same_speech(self, one: Sequence[AudioFrame], other: Sequence[AudioFrame]) -> None:
        """The same samples, or for a voice with chance in it, the same length."""
        if self.repeatable:
            assert b"".join(frame.pcm for frame in one) == b"".join(frame.pcm for frame in other)
        else:
            assert abs(len(one) - len(other)) <= max(1, self.tolerance * len(one))


def _keep_recording(folder: Path, name: str, pitch: float) -> None:
    time = np.arange(6 * RATE) / RATE
    sound = 0.3 * np.sin(2 * np.pi * pitch * time) * np.sin(2 * np.pi * 3 * time)
    (folder / f"{name}.txt").write_text("Hello there, this is me.", "utf-8")
    write_wav(folder / f"{name}.wav", sound.astype(np.float32), RATE)


def speak(adapter: TtsAdapter, text: str, voice: Voice = Voice()) -> list[SynthesizedAudio]:
    """All chunks of a text, straight from the adapter."""
    chunks: list[SynthesizedAudio] = []
    for chunk in adapter.synthesize(text, voice=voice):
        chunks.append(chunk)
        assert len(chunks) < _MOST_CHUNKS, "it does not end"
    return chunks


def joined(chunks: Sequence[SynthesizedAudio]) -> Any:
    """Their samples as float in -1..1."""
    if not chunks:
        return np.zeros(0, np.float32)
    samples = np.concatenate([chunk.samples for chunk in chunks])
    return samples.astype(np.float32) / 32_768 if samples.dtype == np.int16 else samples


def _begin(pool: EnginePool, text: str, voice: Voice = Voice()) -> Utterance:
    utterance = make_utterance(pool, voice=voice)
    utterance.add_text(text)
    utterance.end_text()
    return utterance


def make_utterance(
    pool: EnginePool, *, voice: Voice = Voice(), utterance_id: str = "u1", normaliser: Normaliser | None = None
) -> Utterance:
    """An utterance on a loaded pool, with no change of loudness, and of words only by ``normaliser``."""
    from parley.worker.utterance import UtteranceHooks

    framing = FramingOptions(loudness=False, trim=False)
    return Utterance(
        utterance_id, voice, pool.submit, pool.wake, framing, UtteranceLimits(), UtteranceHooks(),
        language=pool.language(voice), normaliser=normaliser,
    )  # fmt: skip


async def _rest(utterance: Utterance) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    while not (frames and frames[-1].final):
        more = await utterance.next_frames(50)
        if not more:
            break
        frames += more
    return frames


async def _say(pool: EnginePool, text: str) -> list[AudioFrame]:
    return await _rest(_begin(pool, text))


async def _say_all(pool: EnginePool, text: str) -> list[AudioFrame]:
    return await _say(pool, text)


def _words(frames: Sequence[AudioFrame], text: str) -> list[str]:
    return [text[mark.text_start : mark.text_end] for frame in frames for mark in frame.marks]


@dataclass(slots=True)
class _Loaded:
    """Loads an adapter for the length of a block."""

    adapter: TtsAdapter

    def __enter__(self) -> TtsAdapter:
        self.adapter.load()
        return self.adapter

    def __exit__(self, *_: object) -> None:
        self.adapter.unload()


@dataclass(slots=True)
class _raises:
    """Expects an error in the block."""

    kinds: type[BaseException] | tuple[type[BaseException], ...]
    error: BaseException | None = field(default=None)

    def __enter__(self) -> _raises:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if kind is None:
            raise AssertionError(f"nothing was raised; expected {self.kinds}")
        self.error = error
        return issubclass(kind, self.kinds)
