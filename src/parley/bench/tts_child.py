"""Child processes of the ``tts`` benchmark, so that CPU time can be told apart.

``python -m parley.bench.tts_child worker FOLDER MODEL PARALLEL HEAD_START`` serves a model on a free port, with as
many engine slots as sentences of an utterance are spoken at a time, and as many seconds of head start; its first
line is the address.
``python -m parley.bench.tts_child piper MODEL.onnx [alike]`` calls the piper library directly: a JSON list of
texts a line in, one JSON list of measurements a line out. ``alike`` gives onnxruntime Parley's settings.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any


def worker(folder: str, model: str, parallel: str, head_start: str) -> None:
    """Serve one model until told to stop."""
    from parley.worker.server import Worker, serve
    from parley.worker.settings import ModelSettings, SynthesisSettings, WorkerSettings
    from parley.worker.voicepacks import VoicePackCatalog

    async def ready(running: Worker) -> None:
        print(running.address, flush=True)

    async def main() -> None:
        models = ModelSettings(default_model=model, engine_slots=int(parallel))
        synthesis = SynthesisSettings(parallel_sentences=int(parallel), head_start=float(head_start))
        settings = WorkerSettings(port=0, models=models, synthesis=synthesis)
        roots = (Path(folder),) if folder else ()
        await serve(settings, VoicePackCatalog(roots), ready=ready)

    asyncio.run(main())


def piper(path: str, settings: str = "") -> None:
    """Speak texts with the library as its documentation does, one after the other."""
    from piper import PiperVoice

    logging.disable(logging.WARNING)
    voice = PiperVoice.load(path)
    if settings == "alike":
        from parley.worker.adapters.loading import onnx_session

        voice.session = onnx_session(Path(path))
    for _ in voice.synthesize("Ready."):
        pass
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps([_spoken(voice, text) for text in json.loads(line)]), flush=True)


def _spoken(voice: Any, text: str) -> dict[str, float]:
    began, cpu, first, samples, rate = time.perf_counter(), time.process_time(), 0.0, 0, 1
    for chunk in voice.synthesize(text):
        data = chunk.audio_int16_bytes
        first = first or time.perf_counter() - began
        samples, rate = samples + len(data) // 2, chunk.sample_rate
    return {
        "first": first,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "audio": samples / rate,
    }


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    else:
        piper(*sys.argv[2:])
