"""An utterance whose frames somebody makes with a generator: ``interfaces.Synthesis`` without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from parley.audio.frame import AudioFrame


class FramesSynthesis:
    """Hands out frames as they are asked for; a hold needs nothing, since nothing is made ahead."""

    def __init__(self, frames: AsyncGenerator[AudioFrame, None]) -> None:
        self._frames = frames
        self._last = -1

    @property
    def opened(self) -> bool:
        """What makes the frames has the text from the beginning."""
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioFrame:
        frame = await anext(self._frames)
        self._last = frame.sequence
        return frame

    async def pause(self) -> int:
        """The sequence of the last frame that was handed out, -1 for none."""
        return self._last

    async def resume(self) -> None:
        """Nothing was held."""

    async def aclose(self) -> None:
        """Let the generator clean up."""
        await self._frames.aclose()
