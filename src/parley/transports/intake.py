"""What one client may still send (pure): the same count on a WebSocket, on a data channel and in a room.

What is done about the excess depends on the wire. A WebSocket is not read for a while, so that the sender waits;
where nobody can be made to wait, the excess is dropped, and who goes on is sent away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.allowance import Allowance
from parley.errors import TooManyRequests
from parley.messages import SetVoice
from parley.orders import Configure

if TYPE_CHECKING:
    from parley.messages import ClientMessage
    from parley.orders import Order
    from parley.transports.client_settings import ClientSettings

CLOCK_DRIFT = 1.05
"""A client's sound card may run a little faster than our clock."""
_WELL_AGAIN = 0.5
"""Share of the burst that has to have come back before a client counts as one that sends no more than it may."""
_DATAGRAMS_PER_MESSAGE = 3
"""On a data channel: the message itself, and what acknowledges ours."""
_AUDIO_DATAGRAMS = 200
"""A second; a microphone sends 50 or 100."""
_PARTS_OF_A_MESSAGE = 20
"""Commas: a text of more of them takes as long to read as several messages."""
_EXTRA_COSTS: dict[type, int] = {SetVoice: 4, Configure: 9}
"""Messages that ask for work elsewhere count for more than one."""


def weight(text: str | bytes) -> int:
    """For how many messages a text counts that was not read yet: JSON takes long to read by its parts, not its length.

    Sixty-four kilobytes of prose or of sound are soon read, as many of numbers or keys take three milliseconds.
    """
    return 1 + (text.count(",") if isinstance(text, str) else text.count(b",")) // _PARTS_OF_A_MESSAGE


class Intake:
    """One client's account. ``now`` is in seconds and never goes back."""

    def __init__(self, settings: ClientSettings) -> None:
        burst, rate = settings.message_burst, settings.message_rate
        self._messages = Allowance(burst=burst, per_second=rate)
        self._dropped = Allowance(burst=burst + settings.patience * rate, per_second=rate)
        self._audio = Allowance(burst=settings.audio_burst, per_second=CLOCK_DRIFT)
        datagrams = _DATAGRAMS_PER_MESSAGE * rate + _AUDIO_DATAGRAMS
        self._datagrams = Allowance(burst=2 * datagrams, per_second=datagrams)
        self._mistakes = Allowance(burst=settings.max_mistakes, per_second=1)
        self._patience = settings.patience
        self._owing_since: float | None = None
        self._complaints = Allowance(burst=1, per_second=1)

    # --- where the sender can be made to wait ----------------------------------------------

    def message_wait(self, now: float, weight: int = 1) -> float:
        """A message came, of some :func:`weight`: seconds before it may be read, 0 while all is well.

        TooManyRequests when it has not been well for ``clients.patience``.
        """
        wait = self._messages.owe(now, weight)
        if self._owing_since is None:
            self._owing_since = now if wait else None
        elif self._messages.share_left(now) > _WELL_AGAIN:
            self._owing_since = None
        elif now - self._owing_since > self._patience:
            raise TooManyRequests("Messages went on coming too quickly; the session is over.", retry_after=wait)
        return wait

    def work_wait(self, now: float, message: ClientMessage | Order) -> float:
        """The same for what this message asks for besides being read."""
        extra = _EXTRA_COSTS.get(type(message), 0)
        return self._messages.owe(now, extra) if extra else 0.0

    def audio_wait(self, now: float, seconds: float) -> float:
        """So much of the microphone came: seconds before it may be taken."""
        return self._audio.owe(now, seconds)

    # --- where it cannot ----------------------------------------------------------------------

    def takes_datagram(self, now: float) -> bool:
        """Whether a datagram that came now is looked at; else it is dropped, as a network would."""
        return not self._datagrams.take(now)

    def takes_message(self, now: float, weight: int = 1) -> bool:
        """Whether a message that came now, of some :func:`weight`, is taken; else it is dropped."""
        return not self._messages.take(now, weight)

    def takes_work(self, now: float, *kinds: type[ClientMessage | Order]) -> bool:
        """The same for what such messages ask for besides being read: all of them, or none."""
        extra = sum(_EXTRA_COSTS.get(kind, 0) for kind in kinds)
        return not extra or not self._messages.take(now, extra)

    def takes_audio(self, now: float, seconds: float) -> bool:
        """Whether so much of the microphone is taken now; else it is dropped."""
        return not self._audio.take(now, seconds)

    def mistake(self, now: float) -> bool:
        """A message was faulty; False when it was one too many."""
        return not self._mistakes.take(now)

    def dropped(self, now: float) -> bool:
        """A message had to be dropped; False when that was one too many."""
        return not self._dropped.take(now)

    def complain(self, now: float) -> bool:
        """Whether the client may be told again that it sends too much: once a second."""
        return not self._complaints.take(now)
