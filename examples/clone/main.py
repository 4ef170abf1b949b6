"""Eight seconds of a person in, a sentence in their voice out; what was made of the recording is deleted again.

uv run parley up --set worker.cloning.enabled=true       # with a model that clones: docs/how-to/clone-a-voice.md
uv run --with httpx python examples/clone/main.py me.wav "Good morning." said.wav
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx


def main(recording: str, text: str, target: str) -> None:
    key = {"Authorization": f"Bearer {os.environ.get('PARLEY_API_KEY', 'none')}"}
    with httpx.Client(base_url=os.environ.get("PARLEY_URL", "http://127.0.0.1:8080"), headers=key, timeout=120) as http:
        agreed = {"name": "guest", "consent": "true"}  # only for somebody who has
        answer = http.post("/v1/voices", data=agreed, files={"file": ("me", Path(recording).read_bytes())})
        voice = answer.json()
        if not answer.is_success:
            sys.exit(voice["error"]["message"])
        print("Heard:", voice["text"])
        try:
            said = http.post("/v1/audio/speech", json={"voice": voice["id"], "input": text, "response_format": "wav"})
            Path(target).write_bytes(said.raise_for_status().content)
        finally:
            http.delete(f"/v1/voices/{voice['id']}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
