"""PCM: frames, formats, resampling, loudness, WAV. No I/O beyond files, no clocks."""

from parley.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, WordMark

__all__ = ["FRAME_BYTES", "FRAME_SAMPLES", "SAMPLE_RATE", "AudioFrame", "WordMark"]
