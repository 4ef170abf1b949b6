"""Settings of the interfaces that other people's clients know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """OpenAI's Realtime interface, over WebSockets and WebRTC."""

    enabled: Annotated[
        bool, Setting("Serve /v1/realtime, its keys for browsers and, with webrtc.enabled, its calls.")
    ] = True
    lead: Annotated[
        float,
        Setting(
            "Audio sent ahead of the ear. Clients play what they get at once: more rides out stalls, less is heard "
            "after an interruption.",
            unit="s",
            ge=0.02,
            le=1,
        ),
    ] = 0.15
    silent_after: Annotated[
        float, Setting("A client that appends nothing for this long counts as silent.", unit="s", ge=0.1, le=5)
    ] = 1.0
    echo_cancelled: Annotated[
        bool,
        Setting(
            "Take it that clients cancel the echo of the reply themselves, as those of OpenAI must; false for clients "
            "on loudspeakers that do not, and send their microphone all the time."
        ),
    ] = True
    audio_burst: Annotated[float, Setting("Audio that may be appended at once.", unit="s", ge=1, le=25)] = 15.0
    audio_rate: Annotated[
        float, Setting("Seconds of audio that are taken a second, in the long run; more waits.", ge=1.05, le=20)
    ] = 4.0
    max_message_bytes: Annotated[int, Setting("Longest event of a client.", unit="bytes", ge=8_192, le=16_777_216)] = (
        1_048_576
    )
    mcp_servers: Annotated[
        tuple[str, ...],
        Setting(
            "Addresses of the MCP servers whose tools a session of a client's may have (tools of type mcp): each as "
            "clients write it in server_url. Parley asks them from here, so none is reachable that is not named. "
            "Needs the extra `mcp`."
        ),
    ] = ()
    max_queued_audio: Annotated[
        float,
        Setting("Audio kept for a client whose connection is slow; then the reply waits.", unit="s", ge=0.1, le=10),
    ] = 1.0


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Interfaces that clients of other systems know: OpenAI's audio routes and its Realtime interface."""

    audio: Annotated[
        bool,
        Setting("Serve /v1/audio/speech, /v1/audio/voices, /v1/audio/transcriptions, /v1/audio/listen and /v1/voices."),
    ] = True
    names: Annotated[
        dict[str, str],
        Setting(
            "What a name that clients send stands for here: a model, or model/speaker. OpenAI's own names of models "
            "and voices stand for the defaults."
        ),
    ] = field(default_factory=dict)
    speech_at_once: Annotated[
        int,
        Setting(
            "Texts spoken at a time for /v1/audio/speech; more wait a little, then are asked to come again.",
            ge=1,
            le=1000,
        ),
    ] = 4
    longest_text: Annotated[int, Setting("Longest text of one request.", unit="characters", ge=1, le=1_000_000)] = 4096
    transcriptions_at_once: Annotated[
        int,
        Setting("Recordings written down at a time; more wait a little, then are asked to come again.", ge=1, le=100),
    ] = 2
    largest_file: Annotated[
        int, Setting("Largest recording that is taken.", unit="bytes", ge=1_000, le=200_000_000)
    ] = 25_000_000
    uploads_memory: Annotated[
        int,
        Setting(
            "Recordings that are kept in memory at a time, all together; more wait a little, then are asked to come "
            "again.",
            unit="bytes",
            ge=1_000,
            le=100_000_000_000,
        ),
    ] = 150_000_000
    longest_audio: Annotated[float, Setting("Longest recording that is taken.", unit="s", ge=1, le=36_000)] = 3600.0
    listening_at_once: Annotated[
        int,
        Setting(
            "Streams written down at a time for /v1/audio/listen; more wait a little, then are refused.", ge=1, le=1000
        ),
    ] = 16
    listening_burst: Annotated[
        float, Setting("Sound that a stream of /v1/audio/listen may send at once.", unit="s", ge=1, le=300)
    ] = 15.0
    listening_rate: Annotated[
        float, Setting("Seconds of sound that it may send a second, in the long run; more waits.", ge=1.05, le=100)
    ] = 4.0
    longest_utterance: Annotated[
        float,
        Setting("Speech without a pause is cut after this long on /v1/audio/listen.", unit="s", ge=5, le=300),
    ] = 60.0
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)


@dataclass(frozen=True, slots=True)
class WyomingSettings:
    """Home Assistant's protocol for voices and ears, on a port of its own. It knows no keys."""

    enabled: Annotated[bool, Setting("Take connections of Wyoming clients, such as Home Assistant.")] = False
    host: Annotated[str, Setting("Address to listen on; whoever reaches it may use voices and ears.")] = "127.0.0.1"
    port: Annotated[int, Setting("Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 10300
    announce: Annotated[
        bool,
        Setting(
            "Tell the local network where the port is, so that Home Assistant finds it; needs the extra `zeroconf`."
        ),
    ] = False
    connections: Annotated[int, Setting("Connections at a time.", ge=1, le=10_000)] = 50
    exchanges: Annotated[
        int, Setting("Texts and recordings at work at a time; more wait a little, then are refused.", ge=1, le=1000)
    ] = 4
    idle: Annotated[
        float, Setting("A connection on which nothing comes for this long is closed.", unit="s", ge=1, le=86_400)
    ] = 300.0
    longest_text: Annotated[int, Setting("Longest text of one exchange.", unit="characters", ge=1, le=1_000_000)] = (
        20_000
    )
    longest_audio: Annotated[float, Setting("Longest recording of one exchange.", unit="s", ge=1, le=3600)] = 120.0


@dataclass(frozen=True, slots=True)
class McpSettings:
    """Parley's voices and ears as tools for other people's agents: the Model Context Protocol at /mcp."""

    enabled: Annotated[
        bool,
        Setting(
            "Serve /mcp with the tools say, listen and models; needs the extra `mcp`. Where keys are asked for, one "
            "with the role talk will do."
        ),
    ] = False
    at_once: Annotated[
        int, Setting("Texts and recordings at work at a time; more wait a little, then are refused.", ge=1, le=1000)
    ] = 4
    longest_text: Annotated[int, Setting("Longest text of one call.", unit="characters", ge=1, le=100_000)] = 1200
    largest_sound: Annotated[
        int,
        Setting(
            "Most sound that one call answers with: the protocol's clients take messages of about 1 MB.",
            unit="bytes",
            ge=10_000,
            le=100_000_000,
        ),
    ] = 740_000
    longest_audio: Annotated[float, Setting("Longest recording of one call.", unit="s", ge=1, le=3600)] = 120.0
    largest_message: Annotated[
        int, Setting("Largest message, a recording as base64 in it.", unit="bytes", ge=10_000, le=100_000_000)
    ] = 6_000_000
    requests: Annotated[int, Setting("Requests at a time; one address gets half of them.", ge=1, le=10_000)] = 64
    sessions: Annotated[
        int,
        Setting(
            "Sessions at a time, of clients of the protocol's revisions that have some; so many may wait for news, one "
            "address half of them.",
            ge=1,
            le=10_000,
        ),
    ] = 64
    idle: Annotated[
        float, Setting("A session without a request for this long is ended.", unit="s", ge=1, le=86_400)
    ] = 300.0
