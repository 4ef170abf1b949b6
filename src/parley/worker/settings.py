"""What a TTS worker may be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from parley.settings import Setting
from parley.text.settings import TextSettings


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which models are in memory, how many, and for how long."""

    default_model: Annotated[
        str,
        Setting(
            "Model that speaks when a session names none; loaded at start. auto: the best fetched one whose engine "
            "is installed and that speaks the session's language, else the embedded voice."
        ),
    ] = "auto"
    preload_models: Annotated[tuple[str, ...], Setting("Models loaded at start besides the default one.")] = ()
    pinned_models: Annotated[tuple[str, ...], Setting("Models that are never evicted once they are loaded.")] = ()
    resident_cap: Annotated[int, Setting("Most models in memory at a time; 0 for no limit.", ge=0)] = 0
    memory_budget_bytes: Annotated[
        int, Setting("Memory (of the GPU, where the models use one) that all models may take; 0 for no limit.",
                     unit="bytes", ge=0),
    ] = 0  # fmt: skip
    max_parallel_loads: Annotated[int, Setting("Models that may be read from disk at the same time.", ge=1)] = 1
    min_residency_ms: Annotated[
        int, Setting("A model stays at least this long before another may take its place.", unit="ms", ge=0)
    ] = 5_000
    ttl_ms: Annotated[
        int, Setting("A model that nobody has used for this long leaves memory; -1 keeps it for ever.", unit="ms",
                     ge=-1),
    ] = 600_000  # fmt: skip
    evict_check_interval_ms: Annotated[int, Setting("How often idle models are looked for.", unit="ms", ge=10)] = 5_000
    watch_ms: Annotated[
        int,
        Setting(
            "How often the files of models in memory are looked at; a model whose files have changed is read again; "
            "0 for never.",
            unit="ms",
            ge=0,
        ),
    ] = 0
    wait_ms: Annotated[
        int, Setting("Longest wait for a model when there is no room for it yet; then the request is refused.",
                     unit="ms", ge=0),
    ] = 15_000  # fmt: skip
    lora_cap: Annotated[
        int,
        Setting("Most LoRAs of one model in memory; the one that was not used for longest makes room.", ge=1, le=256),
    ] = 8
    engine_slots: Annotated[
        int, Setting("Engines per model; more than one speaks several utterances at once, for as much more memory.",
                     ge=1, le=64),
    ] = 1  # fmt: skip
    gpu_parallel: Annotated[
        int,
        Setting("Texts spoken on the GPU at a time, over all models that need one; 0 for no limit.", ge=0, le=64),
    ] = 0
    isolate: Annotated[
        bool, Setting("Run every engine in a process of its own, so that none can take the worker with it.")
    ] = False


@dataclass(frozen=True, slots=True)
class SynthesisSettings:
    """How text becomes frames."""

    read_ahead: Annotated[
        float, Setting("Audio that is made before anybody takes it; then the engine waits.", unit="s", ge=0.1, le=600)
    ] = 10.0
    parallel_sentences: Annotated[
        int, Setting("Sentences of one utterance that are spoken at the same time on several engine slots; "
                     "1 speaks them one after the other.", ge=1, le=16),
    ] = 1  # fmt: skip
    max_text: Annotated[int, Setting("Longest utterance.", unit="characters", ge=1)] = 20_000
    head_start: Annotated[
        float,
        Setting(
            "Longest wait of an utterance's first frame for a voice that could not keep up otherwise, in any case over "
            "7 s after its text; 0 for none.",
            unit="s",
            ge=0,
            le=60,
        ),
    ] = 4.0
    slowest: Annotated[
        float,
        Setting(
            "Time that a voice may take for a second of speech, measured when it is loaded; a slower one is refused. "
            "0 takes any.",
            unit="s",
            ge=0,
            le=100,
        ),
    ] = 0.0
    max_batch_frames: Annotated[
        int, Setting("Most frames in one message once the first ones have left.", ge=1, le=50)
    ] = 10
    loudness: Annotated[bool, Setting("Bring all voices to one loudness; off passes on what the engine gives.")] = True
    target_lufs: Annotated[float, Setting("Loudness that voices are brought to.", unit="LUFS", ge=-40, le=-6)] = -16.0
    trim_leading_silence: Annotated[
        bool, Setting("Cut the silence in front of an utterance's first sound to 10 ms.")
    ] = True


@dataclass(frozen=True, slots=True)
class CloningSettings:
    """Recordings of people as voices."""

    enabled: Annotated[
        bool,
        Setting(
            "Take recordings of people as voices, of models whose family clones (parley voices add, POST /v1/voices). "
            "Whoever may call this worker may then add and delete them."
        ),
    ] = False
    most: Annotated[int, Setting("Most such voices of one model; more are refused.", ge=1, le=1000)] = 100


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process: where it listens, what it accepts, whom it trusts."""

    host: Annotated[str, Setting("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Setting("Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 50_051
    name: Annotated[str, Setting("Name of this worker in the fleet; empty takes host and port.")] = ""
    advertise: Annotated[
        str, Setting("host:port under which other hosts reach this worker; empty takes where it listens.")
    ] = ""
    labels: Annotated[
        tuple[str, ...], Setting("Tags of this worker itself, such as edge, that routing modes can prefer or require.")
    ] = ()
    voicepacks: Annotated[tuple[str, ...], Setting("Folders of voice packs; one that does not exist is empty.")] = (
        "voicepacks",
    )
    lora_paths: Annotated[
        tuple[str, ...],
        Setting(
            "Folders of LoRAs as PEFT writes them, each in a folder of its own or itself one, for all models that take "
            "LoRAs; besides those in `loras` in a voice pack."
        ),
    ] = ()
    device: Annotated[str, Setting("Where its models run, as announced: cpu, or the GPU's name.")] = "cpu"
    max_sessions: Annotated[int, Setting("Most sessions open at a time; more are refused.", ge=1)] = 256
    max_queue: Annotated[
        int, Setting("Most utterances that wait for an engine; more are refused with a retry delay.", ge=1)
    ] = 64
    session_idle_ms: Annotated[
        int, Setting("A session that has not spoken for this long is closed and frees its model.", unit="ms", ge=1_000)
    ] = 600_000
    first_message_ms: Annotated[
        int, Setting("An utterance's stream whose first message has not come after this long is closed.", unit="ms",
                     ge=10),
    ] = 30_000  # fmt: skip
    drain_ms: Annotated[
        int, Setting("After SIGTERM, how long utterances may go on before they are cut off.", unit="ms", ge=0)
    ] = 60_000
    local_wire: Annotated[
        bool,
        Setting(
            "Offer a Unix socket to orchestrators of this machine and user, who hear the first frame about a "
            "millisecond sooner over it than over gRPC. Not with tls_cert."
        ),
    ] = True
    api_key: Annotated[
        str, Setting("Key that callers must send as 'authorization: Bearer KEY'; empty asks for none.", secret=True)
    ] = ""
    tls_cert: Annotated[str, Setting("PEM file with this worker's certificate chain; empty speaks plain text.")] = ""
    tls_key: Annotated[str, Setting("PEM file with the certificate's private key.")] = ""
    tls_client_ca: Annotated[
        str, Setting("PEM file with the authority whose client certificates are demanded; empty demands none.")
    ] = ""
    metrics_port: Annotated[
        int,
        Setting(
            "Port at which this worker's own figures can be read (GET /metrics); 0 for none. Further workers of "
            "parley up take the next ports.",
            ge=0,
            le=65_535,
        ),
    ] = 0
    metrics_host: Annotated[
        str,
        Setting("Address for that port; in a container 0.0.0.0 lets Prometheus ask. Whoever reaches it may read."),
    ] = "127.0.0.1"
    models: ModelSettings = ModelSettings()
    text: TextSettings = field(default_factory=TextSettings)
    synthesis: SynthesisSettings = SynthesisSettings()
    cloning: CloningSettings = CloningSettings()
