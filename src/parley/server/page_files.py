"""The built page as it is sent: compressed beforehand, and kept by browsers where a file's name holds its content."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from parley.server.page_policy import page_policy

if TYPE_CHECKING:
    import os

    from starlette.types import Scope

_TEXTS = (".html", ".js", ".css", ".svg")
_NAMED_BY_CONTENT = "assets"
"""The folder in which every other content has another name."""
_KEPT = ("cache-control", "content-security-policy", "vary", "etag", "last-modified")
_FOR_EVER, _ASK_FIRST = "public, max-age=31536000, immutable", "no-cache"


class PageFiles(StaticFiles):
    """Serves the folder. What changes on disk while it serves is sent as it is, uncompressed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True)
        # Now, and not when somebody asks: the largest file takes longer than a frame of anybody's sound.
        self._packed = {
            path.resolve(): (path.stat().st_mtime_ns, gzip.compress(path.read_bytes(), 9, mtime=0))
            for path in folder.rglob("*")
            if path.suffix in _TEXTS and path.is_file()
        }
        self._policies: dict[Path, tuple[int, str]] = {}

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, or that it is as it was."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        path = Path(full_path).resolve()
        response.headers["Cache-Control"] = _FOR_EVER if path.parent.name == _NAMED_BY_CONTENT else _ASK_FIRST
        response.headers["Vary"] = "Accept-Encoding"
        if path.suffix == ".html":
            # Also where nothing changed: browsers put the headers of a 304 in the place of those that they kept.
            response.headers["Content-Security-Policy"] = self._policy(path, stat_result.st_mtime_ns)
        changed, packed = self._packed.get(path, (0, b""))
        wanted = _takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
        if not (wanted and isinstance(response, FileResponse) and changed == stat_result.st_mtime_ns):
            return response
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        return Response(packed, status_code, {**kept, "Content-Encoding": "gzip"}, response.media_type)

    def _policy(self, path: Path, changed: int) -> str:
        known, policy = self._policies.get(path, (0, ""))
        if known != changed:
            policy = page_policy(path.read_text("utf-8"))
            self._policies[path] = (changed, policy)
        return policy


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        name, _, weight = each.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
