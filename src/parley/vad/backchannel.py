"""Is what is said over a reply a nod, or a wish for the floor? By Pipecat's backchannel detector (ONNX), where it is.

The model is causal: a call takes 40 ms of the microphone, what the agent does meanwhile, and the state that the call
before left, and answers for each 20 ms. Names, shapes and order are those of the model card of
``pipecat-ai/backchannel-detector`` on the Hugging Face hub (BSD-2); which states there are, the graph itself says:
whatever else it takes, and gives back with ``_out`` behind the name. The weights are not part of Parley.
Where the card leaves open what a time is before the first of its kind, it was long ago.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from parley.audio.levels import level_db, samples_of
from parley.vad.onnx_file import must_have, open_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from parley.audio.frame import AudioFrame

RATE = 16_000
CHUNK, FRAME = 640, 320
"""Samples of a call, and of each of its answers."""
INTENTS = ("continuer", "assessment", "negative", "floor_take", "non_speech")
_NODS, _WISHES = slice(0, 2), slice(2, 4)
_FEATURES = 8
_LONG_AGO = 5.0
"""Seconds at which times are clipped."""
_PAUSE = 0.2
"""Seconds of quiet that are a pause of the agent's."""
_AUDIBLE_DBFS = -50.0
_MOST_DUE = 1_500
"""Frames of a reply that are on their way: thirty seconds."""
_MEMORY = 0.93
"""Of each 20 ms for the next: half of what counts is not older than 0.2 s."""
_ENOUGH = 1.0
"""Frames of speech, remembered so, from which there is something to say."""


class BackchannelDetector:
    """The model, which serves all sessions; each listens by an ``Overhearing`` of its own."""

    def __init__(self, path: Path) -> None:
        """Load the model. Raises ConfigError when the file is missing or is none of this kind."""
        self._session = open_model(path, "backchannel-detector")
        must_have(self._session, path, "backchannel-detector", ["chunk", "bot_state"], ["intent"])
        self._states = {
            entry.name: np.zeros(entry.shape, np.float32)
            for entry in self._session.get_inputs()
            if entry.name not in ("chunk", "bot_state")
        }
        self._outputs = ["intent", *(f"{name}_out" for name in self._states)]
        must_have(self._session, path, "backchannel-detector", [], self._outputs)

    def overhear(self) -> Overhearing:
        """For one session."""
        return Overhearing(self)

    def begin(self) -> dict[str, NDArray[np.float32]]:
        """The state before the first call."""
        return self._states

    def step(
        self, chunk: NDArray[np.float32], agent: NDArray[np.float32], state: dict[str, NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """float32[640] of the microphone, float32[2, 8] of the agent: float32[2, 5] by ``INTENTS``, and state."""
        intents, *left = self._session.run(
            self._outputs, {"chunk": chunk[np.newaxis], "bot_state": agent[np.newaxis], **state}
        )
        return intents[0], dict(zip(self._states, left, strict=True))


class AgentSound:
    """What the agent is heard to do, for the model: from the frames of its replies and when each is heard.

    A reply on hold goes on, for all that is told here: what it was doing stays until the next frame is due, since the
    model knows no pause that can be undone, and would take it for the agent's own answer to the question.
    """

    def __init__(self) -> None:
        self._due: deque[tuple[float, bool]] = deque(maxlen=_MOST_DUE)
        self.begin()

    def begin(self) -> None:
        """A reply begins; its first frames may be on their way."""
        self._audible = False
        self._changed = self._began = self._paused = self._stopped = -math.inf

    def end(self) -> None:
        """The reply is over: what was still to come of it is not heard."""
        self._due.clear()

    def played(self, frame: AudioFrame, at: float) -> None:
        """This frame is heard from ``at`` on."""
        self._due.append((at, level_db(samples_of(frame.pcm)) > _AUDIBLE_DBFS))

    def features(self, now: float) -> tuple[float, ...]:
        """The eight numbers of one frame; ``now`` does not go back."""
        while self._due and self._due[0][0] <= now:
            self._turned(*self._due.popleft())
        quiet = 0.0 if self._audible else now - self._changed
        times = (now - since for since in (self._began, self._paused, self._stopped))
        return float(quiet < _PAUSE), *(min(time, _LONG_AGO) / _LONG_AGO for time in times), 0.0, 0.0, 0.0, 0.0

    def _turned(self, at: float, audible: bool) -> None:
        if audible == self._audible:
            return
        if not audible:
            self._stopped = at
        elif self._began == -math.inf:
            self._began = at
        elif at - self._changed >= _PAUSE:
            self._paused = at
        self._audible, self._changed = audible, at


class Overhearing:
    """An InterruptionModel: what one participant says over the agent's replies."""

    def __init__(self, model: BackchannelDetector) -> None:
        self._model = model
        self._agent = AgentSound()
        self.begin()

    def begin(self) -> None:
        """A reply begins: what was said before belongs to no other."""
        self._agent.begin()
        self._state = self._model.begin()
        self._waiting = np.zeros(0, np.float32)
        self._nod = self._wish = 0.0

    def end(self) -> None:
        """No reply is to be heard any more."""
        self._agent.end()

    def played(self, frame: AudioFrame, at: float) -> None:
        """This frame of the agent's is heard from ``at`` on (loop time)."""
        self._agent.played(frame, at)

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        """The microphone's next samples (16 kHz), the last of which arrived at ``now``."""
        self._waiting = np.concatenate([self._waiting, np.multiply(samples, 1 / 32768, dtype=np.float32)])
        while len(self._waiting) >= CHUNK:
            chunk, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
            end = now - len(self._waiting) / RATE
            agent = np.array([self._agent.features(end - FRAME / RATE), self._agent.features(end)], np.float32)
            intents, self._state = self._model.step(chunk, agent, self._state)
            for intent in intents:
                self._nod = _MEMORY * self._nod + float(intent[_NODS].sum())
                self._wish = _MEMORY * self._wish + float(intent[_WISHES].sum())

    def wish(self) -> float | None:
        """How likely (0 to 1) what was last said asks for the floor; None while next to nothing was said."""
        said = self._nod + self._wish
        return self._wish / said if said >= _ENOUGH else None
