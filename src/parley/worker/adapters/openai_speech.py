"""Voices behind any server with OpenAI's speech endpoint, streamed: ``POST {base_url}/audio/speech``.

This is how an engine with pins of its own, or a GPU server of another project, joins the fleet:
vLLM-Omni, Kokoro-FastAPI, openai.com and many more speak it. Needs nothing but the standard
library. A sentence goes up at a time; PCM (s16le mono) comes down as it is made, and closing
the generator closes the connection, so the server stops too.
"""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import numpy as np

from parley.errors import CapacityError, ConfigError, EngineError, InvalidRequest, TimedOut, UnavailableError
from parley.values import SynthesizedAudio, Voice
from parley.worker.pack import PackFile, PackOption, VoicePack
from parley.worker.words import proportional_marks, words

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from parley.values import ModelInfo

_CHUNK = 4_800
"""Bytes that are waited for at a time: 100 ms at 24 kHz."""
_ERROR_BYTES = 2_000


class OpenAISpeechAdapter:
    """One voice model of a speech server."""

    files: ClassVar[Mapping[str, PackFile]] = {}
    options: ClassVar[Mapping[str, PackOption]] = {
        "base_url": PackOption("Address of the server's API, such as http://gpu-box:8000/v1.", ""),
        "model": PackOption("The model's name on the server.", "tts-1"),
        "api_key": PackOption("Key sent as a bearer token; better kept in a file.", ""),
        "api_key_file": PackOption("File in the pack's folder whose first line is the key.", ""),
        "instructions": PackOption("How to speak, for servers that take such words.", ""),
        "timeout": PackOption("Longest wait for an answer and for more audio, in seconds.", 30.0, ge=0.1, le=600),
        "check": PackOption("Whether loading asks the server to speak one word.", True),
    }
    open_speakers: ClassVar[bool] = True
    """Which voices the server has only it knows, where the metadata lists none."""
    slots: ClassVar[int] = 8
    """Engines that a worker runs unless told otherwise: each waits for one request, and none needs memory."""

    def __init__(self, pack: VoicePack) -> None:
        self.info: ModelInfo = pack.info
        self._pack = pack = replace(pack, options=pack.filled(self.options))
        self._url = ""
        self._headers: dict[str, str] = {}
        self._ready = False

    def load(self) -> None:
        """Check address and key, and let the server speak one word."""
        options, where = self._pack.options, f"{self._pack.folder}/metadata.yaml"
        self._url = str(options["base_url"]).rstrip("/")
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{where}: key 'options.base_url' is {self._url!r}; it must be the address of a speech server's API, "
                "such as http://127.0.0.1:8000/v1."
            )
        self._headers = {"Content-Type": "application/json", "Accept": "application/octet-stream"}
        key = self._key()
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._ready = True
        if options["check"]:
            self._check()

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` as the server's audio arrives; its marks come with the last chunk.

        Raises UnavailableError (server gone), CapacityError (429), TimedOut, InvalidRequest (4xx), EngineError (5xx).
        """
        if not self._ready:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        position = 0
        for samples in self._stream(text, voice):
            yield SynthesizedAudio(samples, self.info.sample_rate)
            position += len(samples)
        marks = proportional_marks(text, words(text), 0, position)
        yield SynthesizedAudio(np.zeros(0, np.int16), self.info.sample_rate, marks)

    def unload(self) -> None:
        """Forget the key; the server keeps its own memory."""
        self._ready = False
        self._headers = {}

    def _check(self) -> None:
        try:
            got = sum(len(part.samples) for part in self.synthesize("Ready.", voice=Voice()))
        except (UnavailableError, TimedOut, InvalidRequest, CapacityError) as error:
            self._ready = False
            raise ConfigError(f"{self.info.model_id}: {error}") from error
        if not got:
            self._ready = False
            raise ConfigError(f"{self.info.model_id}: the speech server at {self._url} answered with no audio.")

    def _key(self) -> str:
        name = str(self._pack.options["api_key_file"])
        if not name:
            return str(self._pack.options["api_key"])
        path = self._pack.path(name)
        try:
            return path.read_text("utf-8").split("\n", 1)[0].strip()
        except OSError as error:
            raise ConfigError(
                f"{path} can not be read: metadata.yaml names it as 'options.api_key_file', the speech server's key."
            ) from error

    def _stream(self, sentence: str, voice: Voice) -> Generator[np.ndarray, None, None]:
        """Samples of one request, as they arrive."""
        with closing(self._connect()) as connection:
            try:
                response = self._post(connection, sentence, voice)
                odd = b""
                while data := response.read1(_CHUNK):
                    data = odd + data
                    whole = len(data) & ~1
                    odd = data[whole:]
                    if whole:
                        yield np.frombuffer(data[:whole], "<i2").copy()
                if response.length:
                    raise EngineError(f"The speech server at {self._url} broke off in the middle of its audio.")
            except TimeoutError as error:
                raise TimedOut(f"The speech server at {self._url} sent nothing for {self._timeout:g} s.") from error
            except (OSError, HTTPException) as error:
                reason = str(error) or type(error).__name__
                raise UnavailableError(f"The speech server at {self._url} can not be reached ({reason}).") from error

    @property
    def _timeout(self) -> float:
        return float(self._pack.options["timeout"])

    def _connect(self) -> HTTPConnection:
        parts = urlsplit(self._url)
        assert parts.hostname
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(parts.hostname, parts.port, timeout=self._timeout, context=context)
        return HTTPConnection(parts.hostname, parts.port, timeout=self._timeout)

    def _post(self, connection: HTTPConnection, sentence: str, voice: Voice) -> HTTPResponse:
        options = self._pack.options
        speaker = self._pack.speaker(voice)
        body = {
            "model": options["model"],
            "input": sentence,
            "voice": self._pack.speaker_ids.get(speaker, speaker) if self._mapped else speaker,
            "response_format": "pcm",
            "stream_format": "audio",
            "speed": voice.speed,
        }
        if options["instructions"]:
            body["instructions"] = options["instructions"]
        path = urlsplit(self._url).path + "/audio/speech"
        connection.request("POST", path, json.dumps(body).encode(), self._headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _refused(self._url, response)
        kind = response.headers.get_content_type()
        if kind in ("application/json", "text/html", "audio/wav", "audio/mpeg"):
            raise EngineError(f"The speech server at {self._url} answered with {kind} where raw PCM was asked for.")
        return response

    @property
    def _mapped(self) -> bool:
        """True when the metadata maps speakers to the server's names (a list only numbers them)."""
        return any(isinstance(name, str) for name in self._pack.speaker_ids.values())


def _refused(url: str, response: HTTPResponse) -> Exception:
    """The error that a status other than 200 means."""
    text = response.read(_ERROR_BYTES).decode("utf-8", "replace").strip()
    try:
        error = json.loads(text)
        error = error.get("error", error) if isinstance(error, dict) else error
        text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
    except ValueError:
        pass
    said = f"The speech server at {url} answered {response.status} ({' '.join(text.split())[:300] or response.reason})"
    if response.status in (401, 403):
        return ConfigError(f"{said}; set 'options.api_key_file' in metadata.yaml to a file with a valid key.")
    if response.status == 404:
        return ConfigError(f"{said}; 'options.base_url' must be the part of the address before /audio/speech.")
    if response.status == 429:
        after = response.headers.get("Retry-After", "1")
        return CapacityError(f"{said}.", retry_after=float(after) if after.replace(".", "", 1).isdecimal() else 1.0)
    if response.status < 500:
        return InvalidRequest(f"{said}.")
    return EngineError(f"{said}.")
