"""Voices behind any server with OpenAI's speech endpoint, streamed: ``POST {base_url}/audio/speech``.

This is how an engine with pins of its own, or a GPU server of another project, joins the fleet:
vLLM-Omni, Kokoro-FastAPI, openai.com and many more speak it. A sentence goes up at a time; PCM
(s16le mono) comes down as it is made. The connection is kept from one sentence to the next;
closing the generator in mid-sentence closes it, so the server stops too.
"""

from __future__ import annotations

import json
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

    import httpx2

    from parley.values import ModelInfo

_IDLE = 60.0
"""Seconds for which a connection is kept between two sentences."""
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
        self._client: httpx2.Client | None = None

    def load(self) -> None:
        """Check address and key, and let the server speak one word."""
        import httpx2

        self.unload()
        options, where = self._pack.options, f"{self._pack.folder}/metadata.yaml"
        self._url = str(options["base_url"]).rstrip("/")
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{where}: key 'options.base_url' is {self._url!r}; it must be the address of a speech server's API, "
                "such as http://127.0.0.1:8000/v1."
            )
        self._headers = {"Content-Type": "application/json", "Accept": "application/octet-stream"}
        key = server_key(self._pack)
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client = httpx2.Client(
            timeout=float(options["timeout"]),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=_IDLE),
            trust_env=False,  # no proxy between us and a machine beside us
        )
        if options["check"]:
            self._check()

    def synthesize(self, text: str, *, voice: Voice) -> Generator[SynthesizedAudio, None, None]:
        """Speak ``text`` as the server's audio arrives; its marks come with the last chunk.

        Raises UnavailableError (server gone), CapacityError (429), TimedOut, InvalidRequest (4xx), EngineError (5xx).
        """
        if self._client is None:
            raise EngineError(f"The model {self.info.model_id} is not loaded.")
        position = 0
        for samples in self._stream(self._client, text, voice):
            yield SynthesizedAudio(samples, self.info.sample_rate)
            position += len(samples)
        marks = proportional_marks(text, words(text), 0, position)
        yield SynthesizedAudio(np.zeros(0, np.int16), self.info.sample_rate, marks)

    def unload(self) -> None:
        """Forget the key and hang up; the server keeps its own memory."""
        self._headers = {}
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _check(self) -> None:
        try:
            got = sum(len(part.samples) for part in self.synthesize("Ready.", voice=Voice()))
        except (UnavailableError, TimedOut, InvalidRequest, CapacityError) as error:
            self.unload()
            raise ConfigError(f"{self.info.model_id}: {error}") from error
        if not got:
            self.unload()
            raise ConfigError(f"{self.info.model_id}: the speech server at {self._url} answered with no audio.")

    def _stream(self, client: httpx2.Client, sentence: str, voice: Voice) -> Generator[np.ndarray, None, None]:
        """Samples of one request, as they arrive."""
        import httpx2

        begun = False
        try:
            with client.stream(
                "POST", f"{self._url}/audio/speech", json=self._body(sentence, voice), headers=self._headers
            ) as response:
                self._check_answer(response)
                odd = b""
                for data in response.iter_raw():
                    begun = True
                    data = odd + data
                    whole = len(data) & ~1
                    odd = data[whole:]
                    if whole:
                        yield np.frombuffer(data[:whole], "<i2").copy()
        except httpx2.TimeoutException as error:
            raise TimedOut(
                f"The speech server at {self._url} sent nothing for {self._pack.options['timeout']:g} s."
            ) from error
        except (httpx2.TransportError, OSError) as error:
            if begun:
                raise EngineError(f"The speech server at {self._url} broke off in the middle of its audio.") from error
            reason = str(error) or type(error).__name__
            raise UnavailableError(f"The speech server at {self._url} can not be reached ({reason}).") from error

    def _body(self, sentence: str, voice: Voice) -> dict[str, Any]:
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
        return body

    def _check_answer(self, response: httpx2.Response) -> None:
        if response.status_code != 200:
            raise _refused(self._url, response)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("application/json", "text/html", "audio/wav", "audio/mpeg"):
            raise EngineError(f"The speech server at {self._url} answered with {kind} where raw PCM was asked for.")

    @property
    def _mapped(self) -> bool:
        """True when the metadata maps speakers to the server's names (a list only numbers them)."""
        return any(isinstance(name, str) for name in self._pack.speaker_ids.values())


def _refused(url: str, response: httpx2.Response) -> Exception:
    """The error that a status other than 200 means."""
    said = b""
    for data in response.iter_raw():
        said += data
        if len(said) > _ERROR_BYTES:
            break
    text, status = said[:_ERROR_BYTES].decode("utf-8", "replace").strip(), response.status_code
    try:
        error = json.loads(text)
        error = error.get("error", error) if isinstance(error, dict) else error
        text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
    except ValueError:
        pass
    reason = " ".join(text.split())[:300] or response.reason_phrase
    message = f"The speech server at {url} answered {status} ({reason})"
    if status in (401, 403):
        return ConfigError(f"{message}; set 'options.api_key_file' in metadata.yaml to a file with a valid key.")
    if status == 404:
        return ConfigError(f"{message}; 'options.base_url' must be the part of the address before /audio/speech.")
    if status == 429:
        after = response.headers.get("Retry-After", "1")
        return CapacityError(f"{message}.", retry_after=float(after) if after.replace(".", "", 1).isdecimal() else 1.0)
    if status < 500:
        return InvalidRequest(f"{message}.")
    return EngineError(f"{message}.")
