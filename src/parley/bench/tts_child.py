"""Child processes of the ``tts`` benchmark, so that CPU time can be told apart.

``python -m parley.bench.tts_child worker FOLDER MODEL`` serves a model on a free port; its first line is
the address. ``python -m parley.bench.tts_child piper MODEL.onnx`` calls the piper library directly: a JSON list of
texts a line in, one JSON list of measurements a line out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any


def worker(folder: str, model: str) -> None:
    """Serve one model until told to stop."""
    from parley.worker.server import Worker, serve
    from parley.worker.settings import ModelSettings, WorkerSettings
    from parley.worker.voicepacks import VoicePackCatalog

    async def ready(running: Worker) -> None:
        print(running.address, flush=True)

    async def main() -> None:
        settings = WorkerSettings(port=0, models=ModelSettings(default_model=model))
        roots = (Path(folder),) if folder else ()
        await serve(settings, VoicePackCatalog(roots), ready=ready)

    asyncio.run(main())


def piper(path: str) -> None:
    """Speak texts with the library as its documentation does, one after the other."""
    from piper import PiperVoice

    logging.disable(logging.WARNING)
    voice = PiperVoice.load(path)
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
