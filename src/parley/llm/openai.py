"""Any chat endpoint that speaks OpenAI's protocol, streamed delta by delta.

The SDK takes most of a second to import: this module is imported only where the settings ask for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from parley.errors import CapacityError, InvalidRequest, NotFound, ParleyError, TimedOut, Unauthorized, UnavailableError
from parley.values import ChangeVoice, ChatMessage

if TYPE_CHECKING:
    from parley.llm.settings import LlmSettings, OpenAiSettings


class OpenAiModel:
    """A ``LanguageModel`` over HTTP; one client with its connections serves all sessions.

    ``reply`` raises UnavailableError (nobody there, connection lost, no stream), TimedOut, Unauthorized,
    NotFound (the model), CapacityError (rate limit) and InvalidRequest, each with the endpoint's address.
    """

    def __init__(self, settings: LlmSettings) -> None:
        """Nobody is called before the first reply."""
        self._settings: OpenAiSettings = settings.openai
        self._client = openai.AsyncOpenAI(
            base_url=self._settings.base_url,
            api_key=self._settings.api_key or "none",
            timeout=openai.Timeout(self._settings.first_timeout, connect=self._settings.connect_timeout),
            max_retries=0,  # a participant is waiting: say so at once rather than try in silence
        )

    async def reply(self, history: Sequence[ChatMessage]) -> AsyncGenerator[str | ChangeVoice, None]:
        """Deltas as they come; closing the generator closes the connection, and the endpoint stops working."""
        settings = self._settings
        async with aclosing(self._deltas(history)) as deltas:
            limit = settings.first_timeout
            while True:
                try:
                    async with asyncio.timeout(limit):
                        delta = await anext(deltas, None)
                except TimeoutError:
                    raise TimedOut(
                        f"The language model at {settings.base_url} has sent nothing for {limit:g} seconds."
                    ) from None
                if delta is None:
                    return
                limit = settings.delta_timeout
                yield delta

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _deltas(self, history: Sequence[ChatMessage]) -> AsyncGenerator[str, None]:
        began = False
        try:
            async with await self._open(history) as stream:
                began = True
                async for event in stream:
                    if delta := _text_of(event):
                        yield delta
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            if began and isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
                raise UnavailableError(
                    f"The language model at {self._settings.base_url} broke off in the middle of a reply."
                ) from error
            raise self._translated(error) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise UnavailableError(
                f"What {self._settings.base_url} sent is not a stream of chat deltas; is it an OpenAI-compatible "
                "endpoint?"
            ) from error

    async def _open(self, history: Sequence[ChatMessage]) -> Any:
        settings = self._settings
        extra: dict[str, Any] = {}
        if settings.temperature >= 0:
            extra["temperature"] = settings.temperature
        if settings.max_tokens:
            extra["max_tokens"] = settings.max_tokens
        return await self._client.chat.completions.create(
            model=settings.model,
            messages=self._messages(history),  # type: ignore[arg-type]
            stream=True,
            **extra,
        )

    def _messages(self, history: Sequence[ChatMessage]) -> list[dict[str, str]]:
        """The session's own instructions, else ours, and the newest of what was said."""
        system = [message for message in history if message.role == "system"]
        said = [message for message in history if message.role != "system" and message.text]
        if not system and self._settings.system_prompt:
            system = [ChatMessage("system", self._settings.system_prompt)]
        newest = said[-self._settings.history_messages :] if self._settings.history_messages else said
        return [{"role": message.role, "content": message.text} for message in (*system, *newest)]

    def _translated(self, error: Exception) -> ParleyError:
        where = f"The language model at {self._settings.base_url}"
        said = _said(error)
        match error:
            case openai.APITimeoutError():
                return TimedOut(f"{where} did not answer in time.")
            case openai.APIConnectionError():
                return UnavailableError(f"{where} cannot be reached; is it running, and is llm.openai.base_url right?")
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return Unauthorized(f"{where} refuses the key; set llm.openai.api_key.")
            case openai.NotFoundError():
                return NotFound(f"{where} has no model {self._settings.model}{said}.")
            case openai.RateLimitError():
                return CapacityError(f"{where} has had too many requests{said}.")
            case openai.BadRequestError() | openai.UnprocessableEntityError():
                return InvalidRequest(f"{where} refuses the request{said}.")
            case openai.APIStatusError():
                return UnavailableError(f"{where} failed with status {error.status_code}{said}.")
            case _:
                return UnavailableError(f"{where} failed{said or ': ' + type(error).__name__}.")


def _text_of(event: Any) -> str:
    """The delta's text; "" for role announcements, usage and tool calls."""
    choices = event.choices
    if not choices:
        return ""
    return choices[0].delta.content or ""


def _said(error: Exception) -> str:
    """What the endpoint gave as its reason, shortened."""
    body = getattr(error, "body", None)
    text = body.get("message") if isinstance(body, dict) else None
    return f": {' '.join(str(text).split())[:200].rstrip('.')}" if text else ""
