"""``multipart/form-data`` kept in memory, within a bound: what people say is not written to a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from parley.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

    from starlette.datastructures import FormData
    from starlette.requests import Request

_ROOM = 65_536
"""Bytes of a request beside its file."""
_MOST_FIELDS = 100


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40


async def form(request: Request, largest_file: int, take: Callable[[int], Awaitable[None]]) -> tuple[FormData, bytes]:
    """The fields, and the file called ``file``. ``take``: waits for room for so many bytes. Raises InvalidRequest."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidRequest("The request must be multipart/form-data with a field called file.")
    try:
        parser = _InMemory(
            request.headers, _bounded(request, largest_file + _ROOM, take), max_files=1, max_fields=_MOST_FIELDS,
            max_part_size=_ROOM,
        )  # fmt: skip
        fields = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The form can not be read: {error.message}") from None
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidRequest("There is no file in the form: the field must be called file and carry a file name.")
    try:
        return fields, await file.read()
    finally:
        await file.close()


async def _bounded(request: Request, most: int, take: Callable[[int], Awaitable[None]]) -> AsyncGenerator[bytes, None]:
    taken = 0
    async for piece in request.stream():
        taken += len(piece)
        if taken > most:
            raise InvalidRequest(f"The recording is larger than {most - _ROOM} bytes (api.largest_file).")
        await take(len(piece))
        yield piece


async def texts(request: Request, names: Collection[str], longest: int) -> dict[str, str]:
    """The fields of these names, whether or not they came as files, of ``longest`` bytes together. InvalidRequest."""
    parser = _InMemory(
        request.headers, _no_longer(request, longest), max_files=len(names), max_fields=_MOST_FIELDS,
        max_part_size=longest,
    )  # fmt: skip
    try:
        fields = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"The form can not be read: {error.message}") from None
    read: dict[str, str] = {}
    try:
        for name in names:
            value = fields.get(name)
            if value is not None:
                read[name] = value if isinstance(value, str) else (await value.read()).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The fields of the form must be UTF-8 text.") from None
    finally:
        await fields.close()
    return read


async def _no_longer(request: Request, longest: int) -> AsyncGenerator[bytes, None]:
    taken = 0
    async for piece in request.stream():
        taken += len(piece)
        if taken > longest:
            raise InvalidRequest(f"The form may have at most {longest} bytes.")
        yield piece
