"""What a person may set about how work finds a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """Which models a session prefers and accepts."""

    prefer_tags: Annotated[
        tuple[str, ...], Setting("Models and workers that have more of these tags are chosen first.")
    ] = ()
    require: Annotated[
        tuple[str, ...],
        Setting("Only models whose own or whose worker's tags, capabilities and device hold all of these are chosen."),
    ] = ()
    prefer_resident: Annotated[
        bool, Setting("Choose a model that is in memory before one that would have to be loaded.")
    ] = True
    fallbacks: Annotated[
        tuple[str, ...], Setting("Models that speak, in this order, while the wanted one is being loaded.")
    ] = ()


@dataclass(frozen=True, slots=True)
class ClientTlsSettings:
    """How the orchestrator proves and checks identities on its way to the workers."""

    enabled: Annotated[bool, Setting("Speak TLS with the workers.")] = False
    ca: Annotated[
        str, Setting("PEM file of the authority that signed the workers' certificates; empty trusts the system's.")
    ] = ""
    certificate: Annotated[str, Setting("PEM file of the orchestrator's own certificate, for mutual TLS.")] = ""
    key: Annotated[str, Setting("PEM file of the key to that certificate.")] = ""
    server_name: Annotated[
        str, Setting("Name to expect in the workers' certificates where it is not the name in their address.")
    ] = ""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a worker that fails comes after the others, or is left alone, and for how long."""

    failures: Annotated[
        int, Setting("Failures in a row after which other workers come before this one.", ge=1, le=100)
    ] = 3
    cooldown: Annotated[
        float,
        Setting("How long that lasts at first, doubled with each failure.", unit="s", ge=0.05, le=600),
    ] = 1.0
    max_cooldown: Annotated[float, Setting("Longest time that it lasts.", unit="s", ge=0.05, le=3600)] = 30.0


@dataclass(frozen=True, slots=True)
class FailoverSettings:
    """How a reply survives the worker that speaks it."""

    read_ahead: Annotated[
        float,
        Setting(
            "Audio taken from a worker ahead of playout, to be cut at a word when it dies.", unit="s", ge=0.1, le=10
        ),
    ] = 1.5
    first_frame_timeout: Annotated[
        float, Setting("Longest wait for a worker's first frame of an utterance.", unit="s", ge=0.1, le=120)
    ] = 8.0
    frame_timeout: Annotated[
        float,
        Setting("Longest silence of a worker that has text to speak; then it counts as hung.", unit="s", ge=0.1, le=60),
    ] = 1.0
    max_attempts: Annotated[int, Setting("Workers tried for one utterance.", ge=1, le=20)] = 5
    poison_window: Annotated[
        float,
        Setting(
            "Two workers that die within this much audio of each other were killed by the text: it is given up.",
            unit="s",
            ge=0,
            le=60,
        ),
    ] = 2.0
    apology: Annotated[
        str, Setting("Spoken by another worker in place of text that is given up; empty for silence.")
    ] = "I am sorry, I cannot say that."
    patience: Annotated[
        float, Setting("How long a reply waits for any worker at all before it fails.", unit="s", ge=0, le=120)
    ] = 5.0


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """How an utterance finds its worker."""

    workers: Annotated[
        tuple[str, ...], Setting("Addresses (host:port) of workers that are used without a registry.")
    ] = ()
    mode: Annotated[str, Setting("Which of the modes below new sessions use.", choices=("default", "edge", "lora"))] = (
        "default"
    )
    default: Annotated[ModeSettings, Setting("The mode for everybody.")] = field(default_factory=ModeSettings)
    edge: Annotated[ModeSettings, Setting("The mode for machines without a GPU.")] = field(
        default_factory=lambda: ModeSettings(prefer_tags=("edge",), require=("cpu_ok",))
    )
    lora: Annotated[ModeSettings, Setting("The mode for sessions that speak through LoRA adapters.")] = field(
        default_factory=lambda: ModeSettings(prefer_tags=("lora", "expressive"), require=("lora",))
    )
    policy: Annotated[
        str,
        Setting(
            "How one of the workers that can speak is chosen: what is in memory first and of two by chance the less "
            "loaded; the least loaded of all; or any.",
            choices=("prefer-resident", "least-busy", "random"),
        ),
    ] = "prefer-resident"
    sticky: Annotated[bool, Setting("A session stays with its worker while that is healthy and not crowded.")] = True
    crowded: Annotated[
        int,
        Setting(
            "Utterances waiting at a worker that let its sessions move, and have its model loaded elsewhere too.",
            ge=1,
            le=10_000,
        ),
    ] = 2
    queue: Annotated[int, Setting("Utterances that may wait while every worker is full.", ge=0, le=100_000)] = 64
    queue_patience: Annotated[
        float, Setting("Longest wait in that queue; who would wait longer is refused at once.", unit="s", ge=0, le=60)
    ] = 2.0
    fallback: Annotated[
        bool, Setting("Let a resident model speak, and say so, while the wanted one is being loaded.")
    ] = False
    local_wire: Annotated[
        bool,
        Setting(
            "Speak with workers of this machine and user over the Unix socket that they offer; gRPC for all others, "
            "and with tls.enabled for everybody."
        ),
    ] = True
    api_key: Annotated[str, Setting("Key that the workers ask for; empty when they ask for none.", secret=True)] = ""
    tls: Annotated[ClientTlsSettings, Setting("Encryption and identities between hosts.")] = field(
        default_factory=ClientTlsSettings
    )
    breaker: Annotated[BreakerSettings, Setting("When a worker that fails is left alone.")] = field(
        default_factory=BreakerSettings
    )
    failover: Annotated[FailoverSettings, Setting("How a reply survives the worker that speaks it.")] = field(
        default_factory=FailoverSettings
    )

    def mode_settings(self) -> ModeSettings:
        """The group that ``mode`` names."""
        return {"edge": self.edge, "lora": self.lora}.get(self.mode, self.default)
