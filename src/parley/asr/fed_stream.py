"""What a streaming engine was fed: a turn's sound, and silence put in at its pauses to bring out words. Pure."""

from __future__ import annotations

from parley.asr.decoder import RATE


class FedStream:
    """One stream, and where in the turn a time of it lies."""

    def __init__(self, silence: float) -> None:
        self.silence = silence
        """Seconds that are put in at a pause: so much that the engine goes past all that was said before."""
        self.samples = 0
        """In the stream."""
        self._silences: list[float] = []
        self._settled = False

    def hear(self, samples: int) -> None:
        """So much of the turn was fed."""
        self.samples += samples
        self._settled = False

    def settle(self) -> int:
        """Samples of silence to feed at a pause; none where nothing was said since the last one."""
        if self._settled:
            return 0
        self._settled = True
        self._silences.append(self.samples / RATE)
        put_in = round(self.silence * RATE)
        self.samples += put_in
        return put_in

    def turn_time(self, time: float) -> float:
        """Seconds in the stream as seconds in the turn, where no silence was put in; no more than it was fed."""
        time, put_in = max(0.0, min(time, self.samples / RATE)), 0.0
        for at in self._silences:
            if time <= at + self.silence:
                return min(time, at) - put_in
            put_in += self.silence
        return time - put_in
