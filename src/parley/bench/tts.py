"""Voices: first frame, real-time factor and CPU of each adapter, and what Parley adds to the piper library.

Every model is served by a worker process of its own and asked over gRPC, as an orchestrator asks.
Sessions start together and read as fast as frames come. Definitions:

- ``first frame``: text sent -> first 20 ms frame received.
- ``real-time factor``: text sent -> last frame received, over the length of the audio.
- ``cpu``: CPU time of the worker's processes over the seconds of audio made in a round.
- ``cpu over the library``: CPU per second of audio through Parley (worker process, gRPC and 48 kHz framing
  included) over that of ``piper.PiperVoice.synthesize`` called directly on the same texts, in per cent above.
- ``first frame after the library's``: first frame through Parley minus the library's first chunk, same text,
  spoken right before or after it; also against the library with the thread settings that Parley uses, and, to show
  what such a difference is worth, the library's second run of the text minus its first.

``--set voicepacks=FOLDER`` measures the packs in a folder. Without it tiny random models in each family's
real format are used, and ``piper-medium``: a random model with a vocoder of the size that Piper's medium
voices have.
``--set adapter=piper,kokoro`` keeps only some families. Rounds: ``--trials`` (12).
``--set part=sessions`` or ``part=library`` leaves the other of the two out.
``--set part=marks`` measures how far word marks are from where words sound (:mod:`parley.bench.tts_marks`);
``--set ears=whisper-tiny.en --set store=FOLDER`` has a Whisper model of the store judge them.
``--set part=peaks`` measures what keeping peaks below the ceiling does to a voice (:mod:`parley.bench.tts_peaks`);
``--set plots=FOLDER`` draws spectrograms of it.
``--set parallel=1,2,3`` measures something else: one reply whose sentences are spoken so many at a time
(:mod:`parley.bench.tts_parallel`).
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from parley.bench import tts_marks, tts_parallel, tts_peaks
from parley.bench.report import BenchOptions, LoadMeter, Param, Row, row
from parley.bench.tts_library import against_library
from parley.bench.tts_processes import TEXTS, Process, Round, speak, worker
from parley.errors import ConfigError, InvalidRequest, ParleyError
from parley.testing.speech_server import SpeechServer
from parley.worker import adapters
from parley.worker.settings import SynthesisSettings
from parley.worker.voicepacks import VoicePackCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parley.rpc.client import GrpcSynthesizer

HEAD_START = SynthesisSettings().head_start
_PARTS = ("sessions", "library", "marks", "peaks")
_REMOTE_PACK = """\
languages: [en-US]
licence: none
sample_rate: 24000
options:
  base_url: {url}
"""


def run(options: BenchOptions) -> list[Row]:
    """Measure every model that is asked for; one that can not be loaded is said and left out."""
    wanted = {name for name in options.text("adapter").split(",") if name}
    if options.text("parallel"):
        return _side_by_side(options)
    part = options.text("part")
    if part and part not in _PARTS:
        raise InvalidRequest(f"--set part={part}: say {' or '.join(_PARTS)}.")
    if part in ("marks", "peaks"):
        with _packs(options, wanted) as folder:
            found = _models(folder, wanted, builtin=not options.text("voicepacks"))
            models = [model for model, family in found if family != "tone"]
            if part == "marks":
                return tts_marks.run(options, folder, models)
            return tts_peaks.run(folder, models, options.text("plots"))
    rows: list[Row] = []
    with _packs(options, wanted) as folder:
        for model, family in _models(folder, wanted, builtin=not options.text("voicepacks")):
            try:
                rows += [] if part == "library" else asyncio.run(_measure(folder, model, family, options))
            except ParleyError as error:
                print(f"{model}: {error}", file=sys.stderr)
        for path in sorted(folder.glob("piper/*/model.onnx")):
            if part != "sessions" and (not wanted or "piper" in wanted):
                rows += asyncio.run(against_library(folder, path, options.trials or 12, options.seed))
    return rows


def _side_by_side(options: BenchOptions) -> list[Row]:
    """Rows for each number of sentences at a time, with a voice that waits for a machine elsewhere and a fast one."""
    try:
        numbers = [int(number) for number in options.text("parallel").split(",")]
    except ValueError:
        raise InvalidRequest(f"--set parallel={options.text('parallel')}: numbers with commas are needed.") from None
    rows: list[Row] = []
    rounds = options.trials or 6
    with _packs(BenchOptions(), {"piper"}) as folder:
        tts_parallel.slow_pack(folder)
        fast = [("piper-medium", "piper")] if (folder / "piper").exists() else []
        for model, family in ((tts_parallel.SLOW, "tone"), *fast):
            for number in numbers:
                rows += asyncio.run(tts_parallel.measure(folder, model, family, number, rounds))
            rows += asyncio.run(tts_parallel.measure(folder, model, family, 1, rounds, head_start=HEAD_START))
    return rows


@contextlib.contextmanager
def _packs(options: BenchOptions, wanted: set[str]) -> Iterator[Path]:
    """The folder of packs: the one that is named, or tiny models made for the occasion."""
    named = options.text("voicepacks")
    if named:
        yield Path(named)
        return
    names = [f"{family}-tiny" for family in ("piper", "kokoro", "sherpa", "pocket") if _wanted(family, wanted)]
    if "piper-tiny" in names:
        names.append("piper-medium")
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        if names:
            command = [sys.executable, "-m", "parley.testing.tiny_models", folder, *names]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise ConfigError(f"The tiny models can not be made: {done.stderr.strip().splitlines()[-1]}.")
        with _speech_server(Path(folder), wanted):
            yield Path(folder)


@contextlib.contextmanager
def _speech_server(folder: Path, wanted: set[str]) -> Iterator[None]:
    """A server with OpenAI's speech endpoint in this process, and a pack that points there."""
    if wanted and "openai-speech" not in wanted:
        yield
        return
    with SpeechServer() as server:
        place = folder / "openai-speech" / "speech-server"
        place.mkdir(parents=True)
        (place / "metadata.yaml").write_text(_REMOTE_PACK.format(url=server.url), "utf-8")
        yield


def _wanted(family: str, wanted: set[str]) -> bool:
    module = adapters.FAMILIES[family].module
    return (not wanted or family in wanted) and (not module or find_spec(module) is not None)


def _models(folder: Path, wanted: set[str], *, builtin: bool) -> list[tuple[str, str]]:
    """Ids and families to measure."""
    catalog = VoicePackCatalog((folder,))
    for model_id, problem in catalog.problems().items():
        print(f"{model_id}: {problem}", file=sys.stderr)
    plain = {"tone", "espeak"}
    return [
        (info.model_id, info.family)
        for info in catalog.models()
        if (not wanted or info.family in wanted)
        and (info.family not in plain or (info.model_id in plain and (builtin or info.family in wanted)))
    ]


async def _measure(folder: Path, model: str, family: str, options: BenchOptions) -> list[Row]:
    rows: list[Row] = []
    rounds = options.trials or 12
    async with worker(folder, model) as (process, synthesizer):
        await _round(process, synthesizer, model, 1)
        for sessions in options.sessions or (1, 4, 16):
            load = LoadMeter()
            results = [await _round(process, synthesizer, model, sessions) for _ in range(rounds)]
            params: dict[str, Param] = {"adapter": family, "model": model, "sessions": sessions}
            busy = load.read()
            first = [value for result in results for value in result.first_ms]
            factor = [value for result in results for value in result.factor]
            cpu = [result.cpu / result.audio for result in results]
            rows += [
                row("first frame", "ms", first, params=params, load=busy),
                row("real-time factor", "s/s", factor, params=params, load=busy),
                row("cpu", "s/s", cpu, params=params, load=busy),
            ]
    return rows


async def _round(process: Process, synthesizer: GrpcSynthesizer, model: str, sessions: int) -> Round:
    result = Round()
    before = process.cpu()
    made = await asyncio.gather(
        *(speak(synthesizer, model, f"s{i}", TEXTS[i % len(TEXTS)], result) for i in range(sessions))
    )
    result.audio, result.cpu = sum(made), process.cpu() - before
    return result
