"""Recordings of people that became voices: in the packs of one worker, and in its models' memory.

In a pack lie ``voices/NAME.wav`` (24 kHz, mono), ``NAME.txt`` with what is said in it and ``NAME.yaml`` with when the
person's consent was given. The WAV file comes last and goes first: where it is, the voice is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from parley.audio.reference import LONGEST, RATE, SHORTEST
from parley.audio.wav import parse_wav
from parley.errors import InvalidRequest, NotFound, ParleyError, PreconditionFailed
from parley.rpc.values import ClonedVoice
from parley.store.schema import read_mapping
from parley.values import split_lora
from parley.worker.model_manager import speaks_as, voice_changed
from parley.worker.pack import REFERENCE, VOICE_NAME, VOICES, VoicePack

if TYPE_CHECKING:
    from parley.rpc.values import NewVoice
    from parley.worker.model_manager import ModelManager
    from parley.worker.settings import CloningSettings
    from parley.worker.voicepacks import Catalog

_log = logging.getLogger(__name__)

LONGEST_TEXT = 2_000
"""Characters that somebody may say in the longest recording."""
_ENDINGS = (".wav", ".txt", ".yaml")
_SLACK = 0.5
"""Seconds by which a recording may miss the bounds: they were checked where it was cut."""


class Cloning:
    """Adds, deletes and lists them. One comes or goes at a time."""

    def __init__(self, manager: ModelManager, catalog: Catalog, settings: CloningSettings) -> None:
        self._manager, self._catalog, self._settings = manager, catalog, settings
        self._one_at_a_time = asyncio.Lock()

    async def add(self, asked: NewVoice) -> ClonedVoice:
        """Keep a recording, and have the model hear it where it is in memory; whatever fails, nothing is kept.

        Raises PreconditionFailed where it is not allowed or the name is taken, NotFound, InvalidRequest, ConfigError.
        """
        if not self._settings.enabled:
            raise PreconditionFailed(
                "This worker takes no recordings as voices; its operator allows it with worker.cloning.enabled."
            )
        check_asked(asked)
        async with self._one_at_a_time:
            pack = await self._pack(asked.model_id)
            folder = self._room_for(pack, asked)
            if (known := await asyncio.to_thread(lambda: read_voice(folder, pack.model_id, asked.name))) is not None:
                if not await asyncio.to_thread(lambda: same(folder, asked)):
                    raise PreconditionFailed(
                        f"The model {pack.model_id} has a voice {asked.name!r} already; remove it first, or take "
                        "another name."
                    )
                await self._heard(pack.model_id, asked.name)  # another worker, which shares the folder, has kept it
                return known
            await asyncio.to_thread(lambda: write_voice(folder, asked, datetime.now(UTC)))
            try:
                await self._heard(pack.model_id, asked.name)
            except BaseException:  # our own code, and a cancel: what was not heard is not kept
                await asyncio.shield(self._forget(folder, pack.model_id, asked.name))
                raise
            kept = await asyncio.to_thread(lambda: read_voice(folder, pack.model_id, asked.name))
        assert kept is not None
        _log.info("a recording became a voice", extra={"model": pack.model_id, "voice": asked.name})
        return kept

    async def remove(self, model_id: str, name: str) -> None:
        """Delete one: its files, and what the model in memory has made of it. Raises NotFound."""
        async with self._one_at_a_time:
            pack = await self._pack(model_id)
            folder = _folder_of(pack)
            added = pack.added()
            # Another worker that shares the folder may have deleted the files: what is in memory here goes too.
            if name not in added and (name in pack.recordings() or not speaks_as(self._manager, pack.model_id, name)):
                some = ", ".join(added) or "none"
                raise NotFound(
                    f"The model {pack.model_id} has no voice {name[:64]!r} made from a recording; it has {some}."
                )
            await asyncio.shield(self._forget(folder, pack.model_id, name))
        _log.info("a voice was deleted", extra={"model": pack.model_id, "voice": name})

    async def voices(self) -> list[ClonedVoice]:
        """All of them, sorted by model and name."""
        packs = [
            self._catalog.pack(info.model_id) for info in self._catalog.models() if not split_lora(info.model_id)[1]
        ]
        return await asyncio.to_thread(lambda: [voice for pack in packs for voice in voices_in(pack)])

    # --- inside ---

    async def _pack(self, name: str) -> VoicePack:
        """The pack of a model as it is on the disk now. Raises NotFound, ConfigError."""
        await asyncio.to_thread(self._catalog.refresh)
        return self._catalog.pack(self._manager.resolve(name))

    def _room_for(self, pack: VoicePack, asked: NewVoice) -> Path:
        folder = _folder_of(pack)
        if asked.name == REFERENCE or asked.name in pack.speaker_ids:
            raise PreconditionFailed(
                f"The model {pack.model_id} has a speaker {asked.name!r} of its own; take another name."
            )
        others = [name for name in pack.added() if name != asked.name]
        if len(others) >= self._settings.most:
            raise PreconditionFailed(
                f"The model {pack.model_id} has {len(others)} voices from recordings, as many as it may "
                "(worker.cloning.most); remove one first."
            )
        return folder

    async def _heard(self, model_id: str, name: str) -> None:
        await voice_changed(self._manager, model_id, name, gone=False)

    async def _forget(self, folder: Path, model_id: str, name: str) -> None:
        await asyncio.to_thread(lambda: delete_voice(folder, name))
        await voice_changed(self._manager, model_id, name, gone=True)


# --- pure checks and the files -----------------------------------------------------------


def check_asked(asked: NewVoice) -> None:
    """What a face should have seen to: consent, a name, a text that is not too long, a recording as it is kept.

    Raises InvalidRequest.
    """
    if not asked.consent:
        raise InvalidRequest("Nothing says that the person in the recording has agreed; a voice needs their consent.")
    if not VOICE_NAME.fullmatch(asked.name):
        raise InvalidRequest("The name of a voice is 1 to 64 letters, digits, '_' and '-', the first no sign.")
    if len(asked.text) > LONGEST_TEXT:
        raise InvalidRequest(f"The text of the recording has more than {LONGEST_TEXT} characters.")
    samples, rate = parse_wav(asked.audio)
    seconds = samples.size / rate
    if rate != RATE or not SHORTEST - _SLACK <= seconds <= LONGEST + _SLACK:
        raise InvalidRequest(
            f"A voice is kept as a WAV of {SHORTEST:g} to {LONGEST:g} s at {RATE} Hz; this one has {seconds:.1f} s at "
            f"{rate} Hz."
        )


def _folder_of(pack: VoicePack) -> Path:
    """Where a model's voices lie. Raises PreconditionFailed for a family that does not clone."""
    from parley.worker import adapters

    if pack.folder is None or not hasattr(adapters.adapter_class(pack.info.family), "take_voice"):
        raise PreconditionFailed(
            f"The model {pack.model_id} can not speak as a recording does: its family, {pack.info.family}, does not "
            "clone."
        )
    return pack.folder / VOICES


def write_voice(folder: Path, asked: NewVoice, now: datetime) -> None:
    """Keep it; nobody but this user may read it. Raises ConfigError."""
    told = {
        "consent_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "text_heard": asked.text_heard,
    }
    note = "# The person who speaks agreed to this voice.\n" + "".join(
        f"{key}: {str(value).lower() if isinstance(value, bool) else repr(value)}\n" for key, value in told.items()
    )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _write(folder / f"{asked.name}.yaml", note.encode())
        _write(folder / f"{asked.name}.txt", asked.text.strip().encode())
        _write(folder / f"{asked.name}.wav", asked.audio)
    except OSError as error:
        delete_voice(folder, asked.name)
        raise PreconditionFailed(
            f"The voice can not be kept in {folder}: {error.strerror or error}; the worker must be able to write there."
        ) from None


def _write(path: Path, data: bytes) -> None:
    """The whole file or none."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    beside.replace(path)


def delete_voice(folder: Path, name: str) -> None:
    """Delete its files, as far as they are there."""
    for ending in _ENDINGS:
        for path in (folder / f"{name}{ending}", folder / f".{name}{ending}.new"):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    with contextlib.suppress(OSError):  # there are others
        folder.rmdir()


def read_voice(folder: Path, model_id: str, name: str) -> ClonedVoice | None:
    """What is known of one; None where it is not there."""
    path = folder / f"{name}.wav"
    try:
        seconds = max(0, path.stat().st_size - 44) / (2 * RATE)
    except OSError:
        return None
    try:
        note = read_mapping(path.with_suffix(".yaml"))
    except ParleyError:
        note = {}
    said = str(note.get("consent_at", ""))
    return ClonedVoice(model_id, name, round(seconds, 2), said, bool(note.get("text_heard", False)))


def same(folder: Path, asked: NewVoice) -> bool:
    """Whether this very recording is kept under that name."""
    try:
        text = (folder / f"{asked.name}.txt").read_text("utf-8")
        return (folder / f"{asked.name}.wav").read_bytes() == asked.audio and text == asked.text.strip()
    except OSError:
        return False


def voices_in(pack: VoicePack) -> list[ClonedVoice]:
    """Those of one pack, sorted by name."""
    if pack.folder is None:
        return []
    found = (read_voice(pack.folder / VOICES, pack.model_id, name) for name in sorted(pack.added()))
    return [voice for voice in found if voice is not None]
