"""Settings of speech recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class AsrSettings:
    """Which recogniser listens, and how it shares its engine between sessions."""

    engine: Annotated[
        str,
        Setting(
            "Recogniser: auto (the best fetched one for the session's language, else the embedded one), pocketsphinx "
            "(embedded, works offline, plain US English), faster-whisper, sherpa, moonshine, onnx-asr, whisperx; "
            "instant always understands the same words (asr.model), for measurements.",
            choices=(
                "auto",
                "pocketsphinx",
                "faster-whisper",
                "sherpa",
                "moonshine",
                "onnx-asr",
                "whisperx",
                "instant",
            ),
        ),
    ] = "auto"
    model: Annotated[
        str,
        Setting(
            "Name of a model in 'parley models list', or a local folder; empty for the engine's usual one (base for "
            "whisper). sherpa, moonshine and onnx-asr need one."
        ),
    ] = ""
    language: Annotated[
        str, Setting("Language to listen for (BCP 47); empty: the session's own, else detected where the engine can.")
    ] = ""
    hot_words: Annotated[
        tuple[str, ...],
        Setting(
            "Names and terms that are likely to be said; every recogniser is told of them that can be (sherpa where "
            "the model's folder has a bpe.vocab)."
        ),
    ] = ()
    phrases: Annotated[
        tuple[str, ...],
        Setting("Whole phrases that are likely to be said: pocketsphinx compares them with its open vocabulary."),
    ] = ()
    device: Annotated[
        str, Setting("Where the models of whisper, onnx-asr and sherpa run.", choices=("auto", "cpu", "cuda"))
    ] = "auto"
    compute_type: Annotated[
        str, Setting("Number format of whisper models; empty: int8 on a CPU, float16 on a GPU.")
    ] = ""
    beam_size: Annotated[int, Setting("Hypotheses that whisper keeps while decoding.", ge=1, le=20)] = 1
    word_times: Annotated[
        bool, Setting("Let whisper find when each word was said: twice the time for a final transcript.")
    ] = False
    threads: Annotated[int, Setting("CPU threads per decoder; 0: the engine's own choice.", ge=0, le=64)] = 1
    download: Annotated[
        bool, Setting("Fetch a whisper model that is not on this machine when it is first needed; off, nothing is.")
    ] = False
    partial_interval: Annotated[
        float, Setting("Shortest time between two partial transcripts of a turn.", unit="s", ge=0.05, le=5)
    ] = 0.3
    partials_cpu: Annotated[
        float,
        Setting(
            "Time of a decoder that whisper may spend on the partial transcripts of one who speaks, in seconds per "
            "second; where many speak at once, all of them together get half of the decoders.",
            ge=0.01,
            le=1,
        ),
    ] = 0.3
    decoders: Annotated[
        int,
        Setting(
            "Processes or threads that listen, shared by everybody who speaks; each costs a core while it is busy "
            "and, for pocketsphinx, 110 MB.",
            ge=1,
            le=64,
        ),
    ] = 2
    max_waiting: Annotated[
        int, Setting("Open turns beyond the decoders; one more is refused with an error.", ge=0, le=1_000)
    ] = 16
    max_turn: Annotated[float, Setting("Longest turn; what is said after it is not heard.", unit="s", ge=5, le=600)] = (
        120.0
    )
    stuck_after: Annotated[
        float,
        Setting(
            "Longest time that a decoder process may be at one stretch of sound (0.3 s) before it is replaced; "
            "less than session.limits.asr_timeout.",
            unit="s",
            ge=0.5,
            le=120,
        ),
    ] = 5.0
