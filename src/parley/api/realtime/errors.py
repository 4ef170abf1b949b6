"""What is wrong with an event of the client's, as it is told (pure)."""

from __future__ import annotations


class ClientError(Exception):
    """The session lives on. ``code`` is for programs, the message for people; ``param`` names the field."""

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.param = message, code, param
