"""All settings in one place: each package's own group under its name."""

from __future__ import annotations

from dataclasses import dataclass, field

from parley.api.settings import ApiSettings, McpSettings, WyomingSettings
from parley.asr.settings import AsrSettings
from parley.audio.settings import MicrophoneSettings
from parley.environments.settings import EngineSettings
from parley.llm.settings import LlmSettings
from parley.observability.settings import LogSettings, TraceSettings
from parley.recording.settings import RecordingSettings
from parley.registry.settings import RegistrySettings
from parley.routing.settings import RoutingSettings
from parley.server.settings import ServerSettings
from parley.session.settings import SessionSettings
from parley.store.settings import StoreSettings
from parley.tools.settings import ToolSettings
from parley.transports.client_settings import ClientSettings
from parley.transports.livekit_settings import LiveKitSettings
from parley.transports.rtc_settings import WebRtcSettings
from parley.transports.websocket_settings import WebSocketSettings
from parley.vad.settings import InterruptionSettings, SmartTurnSettings, TurnSettings, VadSettings
from parley.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that Parley may be told."""

    server: ServerSettings = field(default_factory=ServerSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    microphone: MicrophoneSettings = field(default_factory=MicrophoneSettings)
    vad: VadSettings = field(default_factory=VadSettings)
    turn: TurnSettings = field(default_factory=TurnSettings)
    smart_turn: SmartTurnSettings = field(default_factory=SmartTurnSettings)
    interruption: InterruptionSettings = field(default_factory=InterruptionSettings)
    asr: AsrSettings = field(default_factory=AsrSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    tools: ToolSettings = field(default_factory=ToolSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    clients: ClientSettings = field(default_factory=ClientSettings)
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)
    webrtc: WebRtcSettings = field(default_factory=WebRtcSettings)
    livekit: LiveKitSettings = field(default_factory=LiveKitSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    wyoming: WyomingSettings = field(default_factory=WyomingSettings)
    mcp: McpSettings = field(default_factory=McpSettings)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    engines: EngineSettings = field(default_factory=EngineSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    log: LogSettings = field(default_factory=LogSettings)
    traces: TraceSettings = field(default_factory=TraceSettings)


WORKER_GROUPS = ("worker", "registry", "store", "log", "traces")
"""What a worker process reads; the file ``configs/worker.yaml``."""
ORCHESTRATOR_GROUPS = tuple(name for name in Settings.__dataclass_fields__ if name != "worker")
"""What an orchestrator reads; the file ``configs/orchestrator.yaml``."""
