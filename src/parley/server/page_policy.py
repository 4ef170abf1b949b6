"""What a page of ours may load and run: its Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
import re

_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
"""Only those without attributes: a script with ``src`` is a file of ours."""
_DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self' blob:",  # worklets are made from blobs
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "media-src": "'self' blob:",
    "worker-src": "'self' blob:",
    "connect-src": "'self' ws: wss:",  # a LiveKit server, which may be elsewhere, is a WebSocket
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def page_policy(html: str = "") -> str:
    """The policy's header: files of ours, and of what stands in ``html`` exactly what it holds now, by its hash."""
    directives = dict(_DIRECTIVES)
    for kind, content in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        directives[f"{kind}-src"] += f" 'sha256-{digest}'"
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
