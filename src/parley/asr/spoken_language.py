"""Which language a session speaks, where nobody said: detected once, with certainty, and then remembered. Pure."""

from __future__ import annotations

_BELIEVED, _DOUBTED = 0.5, 0.3
_DOUBTS = 2


class SpokenLanguage:
    """A cough is detected as anything: what was understood once is believed more than what is detected next."""

    def __init__(self) -> None:
        self.language = ""
        """Empty while it is not known."""
        self._doubts = 0

    def heard(self, language: str, confidence: float | None) -> None:
        """A turn is over. ``language``: what was detected with certainty, or remembered; empty: neither.

        ``confidence`` is that of its words, None where there were none. Several turns that are not understood in the
        language that is remembered are a sign of another one.
        """
        if confidence is None:
            return
        if not self.language:
            self.language = language if confidence >= _BELIEVED else ""
            return
        self._doubts = self._doubts + 1 if confidence < _DOUBTED else 0
        if self._doubts >= _DOUBTS:
            self.language, self._doubts = "", 0
