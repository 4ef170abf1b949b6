"""How fast the families that need a GPU are, on random weights of their real size that are built on the device.

python scripts/gpu_bench.py [--out FILE] [--device cuda|cpu] [--tiny] [--seconds 330]

Installs nothing and downloads nothing: what runs is what this Python has (torch >= 2.9, transformers >= 5). A family
whose package is missing is told as not run. Each result is written to FILE as it comes, so that a run that is cut off
keeps what it has; behind the last one stands a table. Random weights cost what real ones do and say nothing: a text is
cut off after ``SECONDS`` of audio. ``--tiny`` takes models of a megabyte, to try the script itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))  # this Parley, whether or not one is installed

UTTERANCES = (1, 4, 16)
SECONDS = 4.0
"""Of audio that each utterance has."""
TEXT = "The north wind and the sun were disputing which was the stronger, when a traveller came along."
WORDS = 48
"""Tokens that Whisper writes for each recording."""
RANK = 16
"""Of the LoRA."""
LATER = {
    "xtts": ("TTS", "no weights of its size are built here yet"),
    "parler": ("parler_tts", "no weights of its size are built here yet"),
    "qwen3-tts": ("qwen_tts", "there is no adapter yet"),
}
"""Family -> its package, and why it is not run where that is there."""


@dataclass(slots=True)
class Report:
    """What is known so far, in a file."""

    out: Path | None
    until: float
    said: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, figures: dict[str, Any]) -> None:
        """One more result, at once."""
        self.said.setdefault("results", []).append({"what": name, **figures})
        print(json.dumps({"what": name, **figures}), flush=True)
        if self.out is not None:
            beside = self.out.with_name(f".{self.out.name}.new")
            beside.write_text(json.dumps(self.said, indent=1), "utf-8")
            beside.replace(self.out)

    def run(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Measure, where there is time, and tell what happened: whatever it was, the next one is measured too."""
        if time.perf_counter() > self.until:
            self.add(name, {"not run": "no time was left"})
            return
        try:
            self.add(name, work())
        except Exception as error:  # noqa: BLE001 - a driver, a library or the memory may fail in any way
            self.add(name, {"failed": f"{type(error).__name__}: {error}"[:300]})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file, rewritten with each result")
    parser.add_argument("--device", default="", help="cuda or cpu; left out, cuda where there is one")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the script")
    parser.add_argument("--seconds", type=float, default=330.0, help="nothing is begun after this long")
    asked = parser.parse_args(arguments)
    report = Report(asked.out, time.perf_counter() + asked.seconds)
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        for family in ("csm", "csm with a LoRA", "whisper"):
            report.add(family, {"not run": f"the package {missing[0]} is missing"})
    else:
        _with_torch(asked.device, tiny=asked.tiny, report=report)
    for family, (package, why) in LATER.items():
        there = find_spec(package) is not None
        report.add(family, {"not run": why if there else f"the package {package} is missing"})
    print(table(report.said["results"]))
    return 0


def _with_torch(device: str, *, tiny: bool, report: Report) -> None:
    import torch
    import transformers

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    report.said["machine"] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "size": "tiny" if tiny else "real",
    }
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="parley-gpu-bench-") as folder:
        _csm(Path(folder), device, tiny=tiny, report=report)
    _free(device)
    _whisper(device, tiny=tiny, report=report)


# --- CSM -------------------------------------------------------------------------------


def _csm(folder: Path, device: str, *, tiny: bool, report: Report) -> None:
    """Alone, then with a LoRA, then what a frame asks of the processor."""
    adapters: list[Any] = []

    def load() -> dict[str, Any]:
        began = time.perf_counter()
        adapters.append(csm_adapter(folder, device, tiny=tiny))
        return {"load_s": round(time.perf_counter() - began, 2), "memory_gb": _memory(device)}

    report.run("csm load", load)
    if not adapters:
        return
    (adapter,) = adapters
    for count in UTTERANCES:
        report.run(f"csm x{count}", lambda count=count: spoken(adapter, count, ""))
    report.run("csm LoRA load", lambda: _lora(adapter, folder))
    for count in UTTERANCES:
        report.run(f"csm with a LoRA x{count}", lambda count=count: spoken(adapter, count, "bench"))
    report.run("csm dispatch", lambda: dispatch(adapter, device))
    adapter.unload()


def csm_adapter(folder: Path, device: str, *, tiny: bool) -> Any:
    """The adapter that a worker loads, on a model that was never written to a disk."""
    import torch
    from transformers import CsmConfig, CsmForConditionalGeneration

    from parley.testing import csm_model
    from parley.values import ModelInfo
    from parley.worker.adapters.csm import CsmAdapter
    from parley.worker.pack import VoicePack

    class Built(CsmAdapter):
        """Of random weights."""

        def _read(self, folder: Path) -> None:
            if tiny:
                super()._read(folder)
                return
            ids = csm_model.tokenizer(folder)
            config = CsmConfig(
                audio_token_id=ids["<|AUDIO|>"], audio_eos_token_id=ids["<|audio_eos|>"],
                bos_token_id=ids["<|begin_of_text|>"], pad_token_id=ids["<|AUDIO|>"],
            )  # fmt: skip
            usual = torch.get_default_dtype()
            torch.set_default_dtype(torch.bfloat16 if device == "cuda" else torch.float32)
            try:
                with torch.device(device):
                    model = CsmForConditionalGeneration(config)
            finally:
                torch.set_default_dtype(usual)
            self._set_up(model, folder, device)

        def _folder(self) -> Path:
            return folder

    if tiny:
        csm_model.main(folder)
    options = {"device": device, "longest": SECONDS, "seed": 7}
    pack = VoicePack(ModelInfo("csm-bench", "csm", sample_rate=24_000, supports_lora=True), folder, options=options)
    adapter = Built(pack)
    adapter.load()
    return adapter


def _lora(adapter: Any, folder: Path) -> dict[str, Any]:
    from parley.testing import csm_model

    csm_model.write_lora(folder / "lora", adapter._model, seed=1, rank=RANK)
    began = time.perf_counter()
    size = adapter.load_lora("bench", folder / "lora")
    return {"load_s": round(time.perf_counter() - began, 3), "memory_mb": round(size / 1e6, 1), "rank": RANK}


def spoken(adapter: Any, count: int, lora: str) -> dict[str, Any]:
    """``count`` utterances at a time on one engine, which takes turns between them, as on a worker's thread."""
    from parley.values import Voice

    asyncio.run(_speak(adapter, [Voice(lora=lora)]))  # what is set up at the first use is there
    began = time.perf_counter()
    talks = asyncio.run(_speak(adapter, [Voice(lora=lora)] * count))
    seconds = time.perf_counter() - began
    first = [talk.arrived[0] - began for talk in talks]
    gaps = [gap for talk in talks for gap in _gaps(talk.arrived)]
    chunk = median(size for talk in talks for size in talk.sizes)
    return {
        "utterances": count,
        "first_audio_ms": _spread(first),
        "gap_ms": _spread(gaps),
        "chunk_ms": round(1000 * chunk, 1),
        "rtf": round(seconds / sum(sum(talk.sizes) for talk in talks), 4),
        "rtf_each": round(seconds / max(sum(talk.sizes) for talk in talks), 4),
    }


async def _speak(adapter: Any, voices: list[Any]) -> list[Talk]:
    from parley.worker.runner import ThreadEngine

    adapter.info = replace(adapter.info, concurrency=len(voices))
    engine = ThreadEngine(_Loaded(adapter))
    await engine.load()
    try:
        talks = [Talk(TEXT, voice) for voice in voices]
        for talk in talks:
            engine.submit(talk)
        for talk in talks:
            await talk.over
    finally:
        await engine.unload()
    return talks


class _Loaded:
    """An adapter that stays loaded, whatever engine it is lent to."""

    def __init__(self, adapter: Any) -> None:
        self.info, self.synthesize = adapter.info, adapter.synthesize

    def load(self) -> None:
        """It is."""

    def unload(self) -> None:
        """Later."""


class Talk:
    """One utterance, and when its audio came."""

    def __init__(self, text: str, voice: Any) -> None:
        self.text, self.voice, self.cancelled = text, voice, False
        self.arrived: list[float] = []
        self.sizes: list[float] = []
        """Seconds of audio."""
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()

    def ahead(self) -> float:
        return sum(self.sizes)

    def wants_more(self) -> bool:
        return True

    def started(self, pid: int = 0) -> None:
        """Nobody counts it."""

    def push(self, audio: Any, seconds: float) -> None:
        if audio.samples.size:
            self.arrived.append(time.perf_counter())
            self.sizes.append(audio.samples.size / audio.sample_rate)

    def finished(self, error: Exception | None) -> None:
        settle = self.over.set_result if error is None else self.over.set_exception
        self._loop.call_soon_threadsafe(settle, error)  # type: ignore[arg-type]


def dispatch(adapter: Any, device: str) -> dict[str, Any]:
    """What one frame asks of the processor: operators, and milliseconds of it, without the device's own work."""
    from torch.utils._python_dispatch import TorchDispatchMode

    from parley.values import Voice

    class Counting(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += 1
            return func(*args, **(kwargs or {}))

    frames, audio = 20, adapter.synthesize(TEXT, voice=Voice())
    next(audio)
    with Counting() as counting:
        for _ in range(frames):
            next(audio)
    began = time.process_time()
    for _ in range(frames):
        next(audio)
    spent = time.process_time() - began
    audio.close()
    return {"operators_a_frame": round(counting.count / frames), "cpu_ms_a_frame": round(1000 * spent / frames, 2)}


# --- Whisper ---------------------------------------------------------------------------


def _whisper(device: str, *, tiny: bool, report: Report) -> None:
    models: list[Any] = []

    def load() -> dict[str, Any]:
        began = time.perf_counter()
        models.append(whisper(device, tiny=tiny))
        return {"load_s": round(time.perf_counter() - began, 2), "memory_gb": _memory(device)}

    report.run("whisper load", load)
    for count in UTTERANCES if models else ():
        report.run(f"whisper x{count}", lambda count=count: heard(models[0], count, device))


def whisper(device: str, *, tiny: bool) -> Any:
    """Of the size of large-v3-turbo."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    wide = {"d_model": 64, "encoder_layers": 2, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128} if tiny else {
        "d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120
    }  # fmt: skip
    heads = 4 if tiny else 20
    config = WhisperConfig(
        vocab_size=51_866, num_mel_bins=128, decoder_layers=2 if tiny else 4,
        encoder_attention_heads=heads, decoder_attention_heads=heads, **wide,
    )  # fmt: skip
    with torch.device(device):
        model = WhisperForConditionalGeneration(config)
    return model.to(torch.bfloat16 if device == "cuda" else torch.float32).eval().requires_grad_(False)


def heard(model: Any, count: int, device: str) -> dict[str, Any]:
    """``count`` recordings of half a minute at a time, each written down in ``WORDS`` tokens."""
    import torch

    features = torch.randn(count, 128, 3000, device=device, dtype=model.dtype)
    times = [_timed(lambda: _written(model, features), device) for _ in range(4)][1:]
    whole = median(seconds for seconds, _ in times)
    first = median(first for _, first in times)
    return {
        "utterances": count,
        "first_token_ms": round(1000 * first, 1),
        "text_ms": round(1000 * whole, 1),
        "rtf": round(whole / (30 * count), 5),
    }


def _written(model: Any, features: Any) -> Iterator[None]:
    import torch
    from transformers import DynamicCache, EncoderDecoderCache

    with torch.inference_mode():
        encoded = model.model.encoder(features)
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        tokens = torch.full((features.shape[0], 1), model.config.decoder_start_token_id, device=features.device)
        for _ in range(WORDS):
            said = model(
                encoder_outputs=encoded, decoder_input_ids=tokens, past_key_values=cache, use_cache=True
            ).logits
            tokens = said[:, -1:].argmax(-1)
            tokens.max().item()  # as a recogniser does, which looks for the end
            yield


# --- figures ---------------------------------------------------------------------------


def _timed(work: Callable[[], Iterator[None]], device: str) -> tuple[float, float]:
    """Seconds to the end of ``work``, and to its first step."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    steps = [time.perf_counter() - began for _ in work()]
    return steps[-1], steps[0]


def _gaps(moments: list[float]) -> list[float]:
    return [later - sooner for sooner, later in pairwise(moments)]


def _spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in
          (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}  # fmt: skip
    return {name: round(1000 * value, 1) for name, value in at.items()} | {"max": round(1000 * ordered[-1], 1)}


def _memory(device: str) -> float:
    import torch

    return round(torch.cuda.max_memory_allocated() / 1e9, 2) if device == "cuda" else 0.0


def _free(device: str) -> None:
    import gc

    import torch

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def table(results: list[dict[str, Any]]) -> str:
    """For docs/performance.md."""
    rows = ["| what | first, ms (p50 / p95) | gap, ms (p50 / p99) | RTF | else |", "| --- | --- | --- | --- | --- |"]
    for one in results:
        first, gap = one.get("first_audio_ms"), one.get("gap_ms")
        shown = {"what", "first_audio_ms", "gap_ms", "rtf", "utterances"}
        rest = ", ".join(f"{name} {value}" for name, value in one.items() if name not in shown)
        cells = [
            one["what"],
            f"{first['p50']:g} / {first['p95']:g}" if first else "",
            f"{gap['p50']:g} / {gap['p99']:g}" if gap else "",
            f"{one['rtf']:g}" if "rtf" in one else "",
            rest,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
