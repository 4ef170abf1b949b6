"""Fake engines that misbehave on request, and a catalog of them: for tests of workers.

They live here and not beside the tests because an engine in a child process has to be importable there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from parley.audio.frame import WordMark
from parley.audio.wav import read_wav
from parley.errors import ConfigError
from parley.interfaces import TtsAdapter
from parley.values import ModelInfo, SynthesizedAudio, Voice, split_lora
from parley.worker.adapters.tone import ToneAdapter
from parley.worker.pack import PackFile, PackOption, VoicePack
from parley.worker.voicepacks import Fingerprint, VoicePackCatalog
from parley.worker.words import words


class SlowAdapter:
    """40 ms chunks; waits for 5 ms before each; counts what it was asked for."""

    calibrated = True

    def __init__(self, pack: VoicePack) -> None:
        self.info = pack.info
        self.chunks = 0
        self.closed = 0

    def load(self) -> None:
        """Nothing to read."""

    def unload(self) -> None:
        """Nothing to free."""

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        try:
            for place in range(len(text) * 2):
                threading.Event().wait(0.005)
                self.chunks += 1
                yield SynthesizedAudio(np.full(1_920, 100 + place % 1_000, np.int16), 48_000)
        finally:
            self.closed += 1


class SpeechAdapter:
    """Noise at 24 kHz with native marks: goes through resampling, loudness and trimming."""

    def __init__(self, pack: VoicePack) -> None:
        self.info = pack.info

    def load(self) -> None:
        """Nothing to read."""

    def unload(self) -> None:
        """Nothing to free."""

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        yield SynthesizedAudio(np.zeros(2_400, np.float32), 24_000)
        position = 2_400
        for start, end in words(text):
            seed = sum(text[start:end].encode())
            samples = (0.03 * np.random.default_rng(seed).standard_normal(6_000)).astype(np.float32)
            yield SynthesizedAudio(samples, 24_000, (WordMark(start, end, position, position + 6_000),))
            position += 6_000


class CrashingAdapter(SpeechAdapter):
    """Dies by SIGKILL at the word "crash", exits at the word "leave"."""

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        yield SynthesizedAudio(np.full(12_000, 0.1, np.float32), 24_000)
        if "crash" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "leave" in text:
            os._exit(255)
        if "raise" in text:
            raise ValueError("out of phonemes")
        yield from super().synthesize(text, voice=voice)


class BrokenAdapter(SpeechAdapter):
    """Can not be loaded."""

    def load(self) -> None:
        raise ConfigError("weights.onnx is missing; put it there.")


class StuckAdapter(SpeechAdapter):
    """Fails when it is to free its memory."""

    def unload(self) -> None:
        raise RuntimeError("the library would not let go")


class LoraAdapter(SpeechAdapter):
    """Sounds otherwise with each LoRA: as the text of the file ``share`` in its folder; "stuck" is never read.

    A text with the word "until" ends when there are two of them.
    """

    def __init__(self, pack: VoicePack) -> None:
        super().__init__(pack)
        self._shares: dict[str, float] = {}

    def load_lora(self, name: str, folder: Path) -> int:
        share = folder / "share"
        if not share.is_file():
            raise ConfigError(f"{share} is missing.")
        if share.read_text("utf-8") == "stuck":
            threading.Event().wait()
        self._shares[name] = float(share.read_text("utf-8"))
        return 1_000

    def drop_lora(self, name: str) -> None:
        self._shares.pop(name, None)

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        if "crash" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        while "until" in text.lower() and len(self._shares) < 2:
            yield SynthesizedAudio(np.full(960, 0.01, np.float32), 24_000)
        share = self._shares[voice.lora] if voice.lora else 1.0
        for audio in super().synthesize(text, voice=voice):
            yield replace(audio, samples=(audio.samples * share).astype(np.float32))


class CopyAdapter:
    """Each word is a quarter of a second of the speaker's recording, as it was when it was heard; else it is noise.

    A recording whose text is "unspeakable" can not be heard, and the text "crash" ends the process.
    """

    files: ClassVar[Mapping[str, PackFile]] = {}
    options: ClassVar[Mapping[str, PackOption]] = {}
    calibrated: ClassVar[bool] = True

    def __init__(self, pack: VoicePack) -> None:
        self.info, self._pack = pack.info, pack
        self._heard: dict[str, Any] = {}

    @classmethod
    def describe(cls, pack: VoicePack) -> ModelInfo:
        return replace(pack.info, speakers=tuple(pack.recordings()))

    def load(self) -> None:
        """Nothing to read."""

    def unload(self) -> None:
        """Nothing to free."""

    def take_voice(self, name: str) -> None:
        self.drop_voice(name)
        self._sound_of(name)

    def drop_voice(self, name: str) -> None:
        self._heard.pop(name, None)

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        if "crash" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        sound = self._sound_of(voice.speaker) if voice.speaker else np.random.default_rng(0).normal(0, 0.03, 24_000)
        for _ in words(text):
            yield SynthesizedAudio(sound[12_000:18_000].astype(np.float32), 24_000)

    def _sound_of(self, name: str) -> Any:
        if name not in self._heard:
            path = self._pack.path(self._pack.recordings()[name])
            if path.with_suffix(".txt").read_text("utf-8") == "unspeakable":
                raise ConfigError(f"{path.name} can not be heard.")
            self._heard[name] = read_wav(path, 24_000)[0] / 32_768
        return self._heard[name]


KINDS: dict[str, Any] = {
    "tone": ToneAdapter,
    "slow": SlowAdapter,
    "speech": SpeechAdapter,
    "crash": CrashingAdapter,
    "broken": BrokenAdapter,
    "stuck": StuckAdapter,
    "lora": LoraAdapter,
}


class EngineCatalog:
    """Models of tests: a family for each kind of engine; ids are ``kind`` or ``kind-anything``."""

    def __init__(self, *model_ids: str, memory_bytes: int = 1_000_000, isolated: bool = False) -> None:
        self._memory = memory_bytes
        self.sizes: dict[str, int] = {}
        """Bytes that single models are said to need."""
        self._isolated = isolated
        self.ids = sorted({"tone", *model_ids})
        self.failing: set[str] = set()
        """Models that can not be loaded from now on."""
        self.loras: dict[str, Path] = {}
        """LoRAs of models whose kind is "lora", by id: "lora+anna"."""
        self.created: list[Any] = []
        """Every adapter made so far, for those that run inside this process."""

    def models(self) -> list[ModelInfo]:
        loras = [replace(self._info(split_lora(name)[0]), model_id=name) for name in self.loras]
        return sorted([*(self._info(model_id) for model_id in self.ids), *loras], key=lambda info: info.model_id)

    def broken(self) -> list[tuple[ModelInfo, ConfigError]]:
        return []

    @property
    def pins(self) -> frozenset[str]:
        return frozenset()

    def fingerprints(self) -> dict[str, Fingerprint]:
        return dict.fromkeys((*self.ids, *self.loras), ())

    def refresh(self) -> None:
        """What is here was said when it was made."""

    def _info(self, model_id: str) -> ModelInfo:
        kind = model_id.partition("-")[0]
        return ModelInfo(
            model_id,
            kind,
            languages=("en",),
            sample_rate=48_000 if kind in ("tone", "slow") else 24_000,
            memory_bytes=self.sizes.get(model_id, self._memory),
            word_marks="native",
            concurrency=16 if kind == "tone" else 1,
            supports_lora=kind == "lora",
        )

    def resolve(self, name: str) -> str:
        return VoicePackCatalog(builtins=[VoicePack(info) for info in self.models()]).resolve(name)

    def best(self, language: str) -> str:
        return self.ids[0]

    def create(self, model_id: str) -> TtsAdapter:
        kind = "broken" if model_id in self.failing else model_id.partition("-")[0]
        adapter: TtsAdapter = KINDS[kind](VoicePack(self._info(model_id)))
        self.created.append(adapter)
        return adapter

    def pack(self, name: str) -> VoicePack:
        return VoicePack(self._info(name))

    def lora(self, name: str) -> Path:
        return self.loras[name]

    def lexicon(self, model_id: str) -> Mapping[str, str]:
        return {}

    def interpreter(self, model_id: str) -> str:
        return ""

    def isolated(self, model_id: str) -> bool:
        return self._isolated or model_id.startswith("crash")
