"""A Pipecat pipeline that hears and speaks with Parley: it repeats what is said in a file, into another one.

uv run parley up
python bot.py question.wav answer.wav
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from parley.integrations.pipecat import ParleySTTService, ParleyTTSService

RATE = 24_000


class Parrot(FrameProcessor):
    """In place of a language model."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            frame = TTSSpeakFrame(f"You said: {frame.text}.")
        await self.push_frame(frame, direction)


class Tape(FrameProcessor):
    """In place of a loudspeaker."""

    pcm = b""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.pcm += frame.audio
        await self.push_frame(frame, direction)


async def main(question: str, answer: str) -> None:
    server = {
        "url": os.environ.get("PARLEY_URL", "http://127.0.0.1:8080"),
        "api_key": os.environ.get("PARLEY_API_KEY", ""),
    }
    tape = Tape()
    pipeline = Pipeline([ParleySTTService(**server), Parrot(), ParleyTTSService(**server), tape])
    with wave.open(question) as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=rate, audio_out_sample_rate=RATE))
    for begin in range(0, len(pcm), rate // 25):
        await worker.queue_frame(InputAudioRawFrame(pcm[begin : begin + rate // 25], rate, 1))
    await worker.queue_frame(EndFrame())
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()
    with wave.open(answer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(tape.pcm)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:3]))
