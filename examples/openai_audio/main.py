"""OpenAI's client, pointed at Parley: speak a sentence into a file, and write the file down again.

uv run parley up
uv run --with openai python examples/openai_audio/main.py "Good morning." morning.mp3
"""

from __future__ import annotations

import os
import sys

from openai import OpenAI


def main(text: str, path: str) -> None:
    url = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
    with OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("PARLEY_API_KEY", "none")) as client:
        with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=text) as answer:
            answer.stream_to_file(path)
        with open(path, "rb") as file:
            print(client.audio.transcriptions.create(model="whisper-1", file=file).text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
