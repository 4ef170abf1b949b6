"""Any chat endpoint that speaks OpenAI's protocol, streamed delta by delta.

What an endpoint says of itself (its address, its own words, which may repeat the prompt or the key) is for the
operator's log; a participant is told what happened in words of ours.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import structlog

from parley import tracing
from parley.errors import (
    CapacityError,
    ConfigError,
    InvalidRequest,
    NotFound,
    ParleyError,
    TimedOut,
    Unauthorized,
    UnavailableError,
)
from parley.llm.answer import Answer, EndpointFailed
from parley.llm.events import MAX_EVENT, Events
from parley.llm.prompt import arrange, unseen
from parley.llm.sight import Fault, Sight, fault
from parley.values import ChatMessage, Deadlines, ReplyOptions, Thinking, ToolCall, ToolInfo, Usage

if TYPE_CHECKING:
    from parley.llm.settings import LlmSettings, OpenAiSettings

log = structlog.get_logger(__name__)

_LOG = "the server's log says why"
_SHOWN = 500
"""Characters of what an endpoint said that are kept for the log."""


class _ImagesRefused(InvalidRequest):
    """It does not take the images of the request; it may take the rest."""

    def __init__(self, why: Fault) -> None:
        super().__init__("The language model does not take the images that it is shown.")
        self.why = why


class OpenAiModel:
    """A ``LanguageModel`` over HTTP; one client with its connections serves all sessions.

    ``reply`` raises UnavailableError (nobody there, connection lost, no chat endpoint), TimedOut (no connection in
    time), Unauthorized, NotFound (the model), CapacityError (rate limit), InvalidRequest, and NoReply for one that
    has no word for the participant. How long a reply may take is its listener's business: see ``deadlines``.
    """

    def __init__(self, settings: LlmSettings, **_: object) -> None:
        """Nobody is called before the first reply. Raises ConfigError for an address that is none."""
        own: OpenAiSettings = settings.openai
        self._settings = own
        self._url = _endpoint(own.base_url)
        self.deadlines = Deadlines(own.first_timeout, own.delta_timeout, own.thinking_timeout)
        self._warned = False
        self._sight = Sight(looks=own.images)
        self._client = httpx2.AsyncClient(
            headers={"Content-Type": "application/json", **_key(own.api_key)},
            timeout=httpx2.Timeout(None, connect=own.connect_timeout),
        )

    async def reply(
        self,
        history: Sequence[ChatMessage],
        tools: Sequence[ToolInfo] = (),
        options: ReplyOptions = ReplyOptions(),  # noqa: B008  (frozen)
    ) -> AsyncGenerator[str | Thinking | ToolCall | Usage, None]:
        """Deltas as they come, calls of tools at the end, and behind them what was used, where that is wanted.

        Closing the generator closes the connection, and the endpoint stops working.
        """
        answer = Answer(inside_reasoning=self._settings.reasoning_first, tools=bool(tools))
        try:
            async with aclosing(self._objects(history, tools, options)) as objects:
                async for item in objects:
                    for part in answer.add(item):
                        yield part
            rest = answer.finish()
        except EndpointFailed as failure:
            self._note("the language model failed", kind=failure.kind, reply=self._short(failure.said))
            raise UnavailableError(f"The language model failed; {_LOG}.") from None
        except ValueError as error:
            self._note("what the endpoint sent is no chat completion", reason=str(error))
            raise UnavailableError(f"What answers in the language model's place is no chat endpoint; {_LOG}.") from None
        self._warn_of_unopened(answer)
        for last in rest:
            yield last
        if options.usage and (used := answer.usage()) is not None:
            yield used

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # --- the request -------------------------------------------------------------------

    def _body(self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo], options: ReplyOptions) -> dict[str, Any]:
        settings = self._settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": arrange(
                history,
                instructions=settings.system_prompt,
                newest=settings.history_messages,
                system_role=settings.system_role,
                tools=bool(tools),
                brief=options.brief,
                images=self._sight.looks,
            ),
            "stream": True,
        }
        if tools:
            body["tools"] = [_tool(tool) for tool in tools]
            if options.tool:
                body["tool_choice"] = {"type": "function", "function": {"name": options.tool}}
            elif options.tool_choice != "auto":
                body["tool_choice"] = options.tool_choice
        if options.usage:
            body["stream_options"] = {"include_usage": True}
        if settings.temperature >= 0:
            body["temperature"] = settings.temperature
        longest = min(filter(None, (settings.max_tokens, options.max_tokens)), default=0)
        if longest:
            body["max_tokens"] = longest
        return body

    async def _objects(
        self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo], options: ReplyOptions
    ) -> AsyncGenerator[object, None]:
        """The answer's objects as they come. Where images are refused, it is asked once more, with words for them."""
        shown = self._sight.shown(history)
        try:
            async with aclosing(self._streamed(shown, tools, options)) as objects:
                async for item in objects:
                    yield item
            return
        except _ImagesRefused as refused:
            self._sight.refused(shown, refused.why)
        in_words = [unseen(message) for message in shown]
        async with aclosing(self._streamed(in_words, tools, options)) as objects:
            async for item in objects:
                yield item

    async def _streamed(
        self, history: Sequence[ChatMessage], tools: Sequence[ToolInfo], options: ReplyOptions
    ) -> AsyncGenerator[object, None]:
        """The answer to one request."""
        began, error_code = False, ""
        span = tracing.begin("language model", "client", gen_ai__request__model=self._settings.model)
        try:
            body = json.dumps(self._body(history, tools, options))
            async with self._client.stream("POST", self._url, content=body, headers=span.headers) as response:
                span.note(http__response__status_code=response.status_code)
                if response.status_code != httpx2.codes.OK:
                    shown = any(message.images for message in history)
                    raise self._refused(response.status_code, await _beginning(response), shown=shown)
                began = True
                events = Events()
                async for data in response.aiter_bytes():
                    span.reached("parley.first_bytes_s")
                    for item in events.add(data):
                        yield item
                    if events.done:
                        return
                for item in events.finish():
                    yield item
        except httpx2.HTTPError as error:
            lost = self._lost(error, began=began)
            error_code = lost.code
            raise lost from error
        except ParleyError as error:
            error_code = error.code
            raise
        finally:
            span.end(error_code)

    # --- troubles ----------------------------------------------------------------------

    def _lost(self, error: httpx2.HTTPError, *, began: bool) -> ParleyError:
        self._note("the language model was not reached" if not began else "the language model broke off",
                   error=f"{type(error).__name__}: {error}", see="llm.openai.base_url")  # fmt: skip
        if isinstance(error, httpx2.TimeoutException):
            return TimedOut("The language model did not answer in time.")
        if began:
            return UnavailableError("The language model broke off in the middle of its reply.")
        return UnavailableError(f"The language model cannot be reached; {_LOG}.")

    def _refused(self, status: int, body: bytes, *, shown: bool = False) -> ParleyError:
        """The error for a status, with the endpoint's own account in the log. ``shown``: it was shown an image."""
        said, kind = _account(body)
        why = fault(status, said) if shown else Fault.OTHER
        if why is not Fault.OTHER:
            event = {
                Fault.MODEL: "the language model does not look at images; it is told of them from now on",
                Fault.IMAGES: "the language model refuses an image; it is told that there was one",
            }[why]
            self._note(event, status=status, reply=self._short(said), see="llm.openai.images")
            return _ImagesRefused(why)
        if status in (401, 403):
            self._note("the language model refuses the key", status=status, see="llm.openai.api_key")
            return Unauthorized("The language model does not know this server's key; set llm.openai.api_key.")
        self._note("the language model refuses the request", status=status, kind=kind, reply=self._short(said))
        match status:
            case 404:
                return NotFound(f"The language model that this server is set to is not there; {_LOG}.")
            case 429:
                return CapacityError("The language model has had too many requests; try again in a moment.")
            case 400 | 413 | 422:
                return InvalidRequest(f"The language model refuses what it is asked; {_LOG}.")
            case _:
                return UnavailableError(f"The language model failed with status {status}; {_LOG}.")

    def _note(self, event: str, **fields: object) -> None:
        """One line for the operator; the field ``reply`` may hold what somebody said and is dropped by default."""
        known = {name: value for name, value in fields.items() if value not in ("", None)}
        log.warning(event, endpoint=_shown(self._url), model=self._settings.model, **known)

    def _short(self, said: str) -> str:
        key = self._settings.api_key
        clean = said.replace(key, "(key)") if key else said
        return " ".join(clean.split())[:_SHOWN]

    def _warn_of_unopened(self, answer: Answer) -> None:
        if answer.spoken.unopened and not self._warned:
            self._warned = True
            self._note("a reply closes reasoning that it has not opened; if it is spoken, set reasoning_first",
                       see="llm.openai.reasoning_first")  # fmt: skip


def _endpoint(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket too many
        fits = False
    if not fits:
        raise ConfigError(
            f'llm.openai.base_url is "{base_url}", but it must be the address of a chat endpoint, such as '
            "http://127.0.0.1:11434/v1."
        )
    return f"{base_url.rstrip('/')}/chat/completions"


def _tool(tool: ToolInfo) -> dict[str, Any]:
    """A tool in the protocol's own form."""
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": told}


def _key(key: str) -> dict[str, str]:
    if not key:
        return {}
    if not key.isascii() or not key.isprintable():
        raise ConfigError("llm.openai.api_key holds characters that no key has; was more copied than the key?")
    return {"Authorization": f"Bearer {key}"}


def _shown(url: str) -> str:
    """The address without a name and password that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


async def _beginning(response: httpx2.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > MAX_EVENT:
            break
    return body


def _account(body: bytes) -> tuple[str, str]:
    """What an endpoint gave as its reason, and its name for it."""
    events = Events()
    try:
        Answer().add((events.add(body) + events.finish() or [{}])[0])
    except EndpointFailed as failure:
        return failure.said, failure.kind
    except ValueError:
        pass
    return body[:_SHOWN].decode("utf-8", "replace"), ""
