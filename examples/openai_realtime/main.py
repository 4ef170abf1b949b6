"""OpenAI's Realtime client, pointed at Parley: ask something, read the answer while it is spoken, keep its sound.

uv run parley up
uv run --with 'openai[realtime]' python examples/openai_realtime/main.py "Tell me a story." answer.wav
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import wave

from openai import AsyncOpenAI


async def main(text: str, path: str) -> None:
    url = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key=os.environ.get("PARLEY_API_KEY", "none")) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        content = [{"type": "input_text", "text": text}]
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
            async for event in connection:
                if event.type == "session.created":
                    item = {"type": "message", "role": "user", "content": content}
                    await connection.conversation.item.create(item=item)
                    await connection.response.create()
                elif event.type == "response.output_audio_transcript.delta":
                    print(event.delta, end="", flush=True)
                elif event.type == "response.output_audio.delta":
                    file.writeframes(base64.b64decode(event.delta))
                elif event.type == "response.done":
                    print()
                    return
                elif event.type == "error":
                    sys.exit(event.error.message)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:3]))
