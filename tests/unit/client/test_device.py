"""The sound card, as `parley chat` chooses and watches it; PortAudio is a fake."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from parley.client.device import BLOCK, SILENT_FOR, SoundDevice, list_devices
from parley.errors import ConfigError, UnavailableError

pytestmark = pytest.mark.anyio
CARDS = [
    {"name": "Webcam", "max_input_channels": 1, "max_output_channels": 0},
    {"name": "Headset", "max_input_channels": 1, "max_output_channels": 2},
    {"name": "HDMI timer", "max_input_channels": 0, "max_output_channels": 0},
]


class Stream:
    """Keeps how it was opened; a test calls ``callback`` as the sound card's thread does."""

    latency = (0.01, 0.01)

    def __init__(self, **options: Any) -> None:
        names = [card["name"] for card in CARDS]
        for wanted in options["device"]:
            if isinstance(wanted, str) and not any(wanted.lower() in name.lower() for name in names):
                raise ValueError(f"No input device matching {wanted!r}")
        self.options = options

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


class Server:
    """Takes so many blocks, then is gone."""

    def __init__(self, blocks: int) -> None:
        self.left = blocks

    async def send_microphone(self, pcm: bytes) -> None:
        if not self.left:
            raise UnavailableError("gone")
        self.left -= 1


@pytest.fixture(autouse=True)
def portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        RawStream=Stream, PortAudioError=OSError, query_devices=lambda: CARDS, default=SimpleNamespace(device=[0, 1])
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


def test_each_device_has_a_line_with_what_it_does() -> None:
    assert list_devices() == ["0: Webcam (microphone) (usual)", "1: Headset (microphone, loudspeaker) (usual)"]


@pytest.mark.parametrize(
    ("microphone", "loudspeaker", "opened"),
    [("", "", (None, None)), ("webcam", "Headset", ("webcam", "Headset")), ("0", "1", (0, 1))],
)
async def test_devices_are_chosen_by_name_or_number(microphone: str, loudspeaker: str, opened: tuple[Any, Any]) -> None:
    with SoundDevice(echo_cancellation=False, microphone=microphone, loudspeaker=loudspeaker) as device:
        assert device._stream.options["device"] == opened


async def test_a_device_that_is_not_there_is_told_with_where_to_look() -> None:
    with pytest.raises(ConfigError, match=r"No input device matching 'studio'; `parley chat --devices` lists"):
        SoundDevice(echo_cancellation=False, microphone="studio").__enter__()


@pytest.mark.parametrize(("first", "told"), [(b"\0\0", 1), (b"\1\0", 0)])
async def test_a_microphone_that_gives_no_sound_from_the_start_is_told_once(first: bytes, told: int) -> None:
    blocks, calls = round(SILENT_FOR * 48_000 / BLOCK) + 20, []
    with SoundDevice(echo_cancellation=False) as device:
        sending = asyncio.create_task(device.run(Server(blocks), silent=lambda: calls.append(1)))  # type: ignore[arg-type]
        for number in range(blocks + 1):
            said = (first if number == 0 else b"\0\0") * BLOCK
            device._callback(said, bytearray(2 * BLOCK), BLOCK, None, None)
            await asyncio.sleep(0)  # the other thread's news are taken in
            await asyncio.sleep(0)
        await sending
    assert len(calls) == told
