"""Voices behind servers that take text over a WebSocket while it is written: ``{base_url}/audio/speech/stream``.

vLLM-Omni (``vllm_omni/entrypoints/openai/serving_speech_stream.py`` at commit 0131cb5560) and SGLang-Omni
(``sglang_omni/serve/speech_ws.py`` at commit 0e96c746fb) speak the same messages: ``session.config`` first, then
``input.text`` and ``input.done``; down come ``audio.start``, PCM (s16le) as binary messages, ``audio.done``, and
``session.done`` behind the last. vLLM-Omni keeps the connection for the next text, as does the adapter; SGLang-Omni
says ``session.configured`` and hangs up behind each. Closing the generator in mid-sentence hangs up, so the server
stops too.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, TimedOut, UnavailableError
from parley.values import SynthesizedAudio, Voice
from parley.worker.adapters.loading import server_key
from parley.worker.pack import PackFile, PackOption, VoicePack
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from websockets.sync.client import ClientConnection

    from parley.values import ModelInfo

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_KEPT = 20.0
"""Seconds for which a connection is kept between two sentences: the servers hang up after 30."""
_LARGEST = 16 << 20
"""Bytes of one message: a server that does not stream sends a sentence at once."""
_GOODBYE = 0.5
"""Seconds that a server has to answer a close."""


class OmniSpeechAdapter:
    """One voice model of such a server."""

    files: ClassVar[Mapping[str, PackFile]] = {}
    options: ClassVar[Mapping[str, PackOption]] = {
        "base_url": PackOption("Address of the server's API, such as http://gpu-box:8091/v1.", ""),
        "model": PackOption("The model's name on the server; empty for the one that it serves.", ""),
        "api_key": PackOption("Key sent as a bearer token; better kept in a file.", ""),
        "api_key_file": PackOption("File in the pack's folder whose first line is the key.", ""),
        "instructions": PackOption("How to speak, for models that take such words.", ""),
        "language": PackOption("Language by the name that the model knows, such as English; empty for its own.", ""),
        "task_type": PackOption("What the model is asked to do, such as CustomVoice; empty for its own.", ""),
        "slots": PackOption("Sentences that the server makes at a time; no more are asked of it.", 4, ge=1, le=256),
        "first": PackOption("Longest wait for the first audio of a sentence, in seconds.", 15.0, ge=0.1, le=600),
        "between": PackOption("Longest wait for more audio, in seconds.", 10.0, ge=0.1, le=600),
        "check": PackOption("Whether loading asks the server to speak one word.", True),
    }
    open_speakers: ClassVar[bool] = True
    """Which voices the server has only it knows, where the metadata lists none."""

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self.slots: int = pack.options["slots"]
        """Engines that a worker runs: each waits for one sentence, and none needs memory."""
        self._url = ""
        self._headers: dict[str, str] = {}
        self._connection: ClientConnection | None = None
        self._closing = contextlib.ExitStack()
        self._configured: dict[str, Any] = {}
        self._used = 0.0

    def load(self) -> None:
        """Check address and key, and let the server speak one word."""
        self.unload()
        where = f"{self._pack.folder}/metadata.yaml"
        base = str(self._pack.options["base_url"]).rstrip("/")
        parts = urlsplit(base)
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ConfigError(
                f"{where}: key 'options.base_url' is {base!r}; it must be the address of a speech server's API, "
                "such as http://127.0.0.1:8091/v1."
            )
        key = server_key(self._pack)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = parts._replace(scheme=_SCHEMES[parts.scheme]).geturl() + "/audio/speech/stream"
        if self._pack.options["check"]:
            self._check()

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` as the server's audio arrives; its marks come with the last chunk.

        Raises UnavailableError (server gone), CapacityError (full), TimedOut, InvalidRequest, EngineError.
        """
        if not self._url:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        config, position, rate = self._config(voice), 0, self.info.sample_rate
        for samples, rate in self._spoken(text, config):
            yield SynthesizedAudio(samples, rate)
            position += len(samples)
        yield SynthesizedAudio(np.zeros(0, np.int16), rate, proportional_marks(text, words(text), 0, position))

    def unload(self) -> None:
        """Forget the key and hang up; the server keeps its own memory."""
        self._url, self._headers = "", {}
        self._hang_up()

    def _check(self) -> None:
        try:
            got = sum(len(part.samples) for part in self.synthesize("Ready.", voice=Voice()))
        except (UnavailableError, TimedOut, InvalidRequest, CapacityError) as error:
            self.unload()
            raise ConfigError(f"{self.info.model_id}: {error}") from error
        except ConfigError:
            self.unload()
            raise
        if not got:
            url = self._url
            self.unload()
            raise ConfigError(f"{self.info.model_id}: the speech server at {url} answered with no audio.")

    def _config(self, voice: Voice) -> dict[str, Any]:
        options, speaker = self._pack.options, self._pack.speaker(voice)
        named = self._pack.speaker_ids.get(speaker)
        said = {
            "model": options["model"],
            "voice": named if isinstance(named, str) else speaker,
            "instructions": options["instructions"],
            "language": options["language"],
            "task_type": options["task_type"],
        }
        fixed = {"type": "session.config", "response_format": "pcm", "stream_audio": True, "speed": voice.speed}
        return {**fixed, **{name: value for name, value in said.items() if value}}

    # --- one sentence ---

    def _spoken(self, text: str, config: dict[str, Any]) -> Generator[tuple[np.ndarray, int], None, None]:
        """Samples and their rate, as they arrive. A connection that was kept and is gone is made anew, once."""
        kept = self._connection is not None and time.perf_counter() - self._used < _KEPT
        if not kept:
            self._hang_up()
        try:
            yield from self._asked(text, config)
            return
        except _Untouched as untouched:
            if not kept:
                raise untouched.cause from None
        yield from self._asked_anew(text, config)

    def _asked_anew(self, text: str, config: dict[str, Any]) -> Generator[tuple[np.ndarray, int], None, None]:
        try:
            yield from self._asked(text, config)
        except _Untouched as untouched:
            raise untouched.cause from None

    def _asked(self, text: str, config: dict[str, Any]) -> Generator[tuple[np.ndarray, int], None, None]:
        from websockets.exceptions import ConnectionClosed

        connection, answer, over = self._connected(), _Answer(self._url, self.info.sample_rate), False
        try:
            with contextlib.suppress(ConnectionClosed):  # why it was closed may have come before
                if config != self._configured:
                    connection.send(json.dumps(config))
                    self._configured = config
                connection.send(json.dumps({"type": "input.text", "text": text}))
                connection.send(json.dumps({"type": "input.done"}))
            while not answer.done:
                samples = answer.take(connection.recv(timeout=self._patience(answer)))
                if samples is not None and samples.size:
                    yield samples, answer.rate
            over = True
        except TimeoutError:
            raise TimedOut(f"The speech server at {self._url} sent nothing for {self._patience(answer):g} s.") from None
        except (ConnectionClosed, OSError) as error:
            if answer.begun:
                raise EngineError(f"The speech server at {self._url} broke off in the middle of its audio.") from error
            cause = UnavailableError(f"The speech server at {self._url} hung up before it said anything ({error}).")
            raise _Untouched(cause) from error
        finally:
            self._used = time.perf_counter()
            if not over:
                self._break_off()

    def _patience(self, answer: _Answer) -> float:
        return float(self._pack.options["between" if answer.begun else "first"])

    def _connected(self) -> ClientConnection:
        """The connection that was kept, or a new one. Raises UnavailableError, TimedOut, CapacityError, ConfigError."""
        from websockets.exceptions import InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        if self._connection is not None:
            return self._connection
        self._configured = {}
        try:
            opening: Any = connect(
                self._url,
                additional_headers=self._headers,
                open_timeout=float(self._pack.options["first"]),
                close_timeout=_GOODBYE,
                max_size=_LARGEST,
                compression=None,
                proxy=None,  # no proxy between us and a machine beside us
            )
            connection: ClientConnection = self._closing.enter_context(opening)
        except InvalidStatus as error:
            raise _refused(self._url, error.response.status_code) from error
        except TimeoutError as error:
            raise TimedOut(f"The speech server at {self._url} did not answer in time.") from error
        except (OSError, InvalidHandshake, EOFError) as error:
            raise UnavailableError(f"The speech server at {self._url} can not be reached ({error}).") from error
        self._connection = connection
        return connection

    def _break_off(self) -> None:
        """Hang up without a word, which waits for nobody: what is on its way is not wanted, or will not come."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.socket.shutdown(socket.SHUT_RDWR)
        self._hang_up()

    def _hang_up(self) -> None:
        self._connection = None
        with contextlib.suppress(OSError):
            self._closing.close()


class _Untouched(Exception):
    """The connection ended before the server said anything to this text: it may be asked again."""

    def __init__(self, cause: UnavailableError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Answer:
    """What the server says to one text, message by message."""

    def __init__(self, url: str, rate: int) -> None:
        self._url, self._channels, self._odd = url, 1, b""
        self.rate = rate
        self.begun = self.done = False

    def take(self, message: str | bytes) -> np.ndarray | None:
        """The samples in it. Raises InvalidRequest, CapacityError or EngineError for what the server complains of."""
        if isinstance(message, bytes):
            self.begun = True
            return self._samples(message)
        try:
            said = json.loads(message)
            kind = said["type"]
        except (ValueError, TypeError, KeyError):
            raise EngineError(f"The speech server at {self._url} sent a message that can not be read.") from None
        if kind == "audio.start":
            self._begin(said)
        elif kind == "error":
            raise self._complaint(said)
        elif kind == "audio.done":
            self._odd = b""
            if said.get("error"):
                raise EngineError(f"The speech server at {self._url} could not finish the sentence.")
        elif kind == "session.done":
            self.done = True
        return None

    def _begin(self, said: Mapping[str, Any]) -> None:
        if said.get("format", "pcm") != "pcm":
            raise EngineError(f"The speech server at {self._url} sends {said['format']} where raw PCM was asked for.")
        rate, channels = said.get("sample_rate", self.rate), said.get("channels", 1)
        if not isinstance(rate, int) or not 8_000 <= rate <= 192_000 or channels not in (1, 2):
            raise EngineError(f"The speech server at {self._url} announces audio of {channels} channels at {rate} Hz.")
        self.rate, self._channels = rate, channels

    def _samples(self, message: bytes) -> np.ndarray:
        data, width = self._odd + message, 2 * self._channels
        whole = len(data) // width * width
        self._odd = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2")
        return samples.reshape(-1, 2).mean(axis=1).astype(np.int16) if self._channels == 2 else samples.copy()

    def _complaint(self, said: Mapping[str, Any]) -> Exception:
        reason = " ".join(str(said.get("message", "")).split())[:300] or "no reason given"
        sentence = f"The speech server at {self._url} refused ({reason})."
        if said.get("code") == 400 or reason.startswith("Invalid session config"):
            return InvalidRequest(sentence)
        if "queue" in reason.lower() and "full" in reason.lower():
            return CapacityError(sentence, retry_after=1.0)
        return EngineError(sentence)


def _refused(url: str, status: int) -> Exception:
    """The error that a handshake's status means."""
    message = f"The speech server at {url} answered {status}"
    if status in (401, 403):
        return ConfigError(f"{message}; set 'options.api_key_file' in metadata.yaml to a file with a valid key.")
    if status == 404:
        return ConfigError(
            f"{message}; 'options.base_url' must be the part of the address before /audio/speech/stream."
        )
    if status in (429, 503):
        return CapacityError(f"{message}: it is full.", retry_after=1.0)
    return UnavailableError(f"{message}.")
