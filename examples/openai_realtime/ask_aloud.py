"""OpenAI's Realtime client, pointed at Parley: a question out of a file, what was understood of it, and the answer.

uv run parley up
uv run --with 'openai[realtime]' python examples/openai_realtime/ask_aloud.py question.wav
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import wave

from openai import AsyncOpenAI

LISTENING = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}}}
HEARD = "conversation.item.input_audio_transcription.completed"


def recorded(path: str) -> bytes:
    with wave.open(path, "rb") as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (24_000, 2, 1):
            sys.exit(f"{path} must be mono, of 16 bits and 24 kHz: ffmpeg -i {path} -ac 1 -ar 24000 question.wav")
        return file.readframes(file.getnframes())


async def main(path: str) -> None:
    url = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
    sound = recorded(path) + bytes(2 * 24_000)  # a second of silence: whoever has asked waits for the answer
    async with (
        AsyncOpenAI(base_url=f"{url}/v1", api_key=os.environ.get("PARLEY_API_KEY", "none")) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        async for event in connection:
            if event.type == "session.created":
                await connection.session.update(session=LISTENING)
                for start in range(0, len(sound), 9_600):
                    piece = base64.b64encode(sound[start : start + 9_600]).decode()
                    await connection.input_audio_buffer.append(audio=piece)
            elif event.type == HEARD:
                print("You:", event.transcript)
            elif event.type == "response.output_audio_transcript.done":
                print("Agent:", event.transcript)
            elif event.type == "response.done":
                return
            elif event.type == "error":
                sys.exit(event.error.message)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
