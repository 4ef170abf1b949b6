"""A LiveKit agent that hears and speaks with Parley.

Everything but ears and voice is LiveKit's. The "model" repeats what it is told, so that the example
runs without a key or a download; put your own ``llm=`` in its place.
"""

from __future__ import annotations

import os
import uuid

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, AgentServer, AgentSession, JobContext, cli, llm

from parley.integrations import livekit as parley

server = AgentServer()


class Parrot(llm.LLM):
    """Repeats the last message."""

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return ParrotStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ParrotStream(llm.LLMStream):
    async def _run(self) -> None:
        said = [item.text_content for item in self._chat_ctx.items if item.type == "message" and item.role == "user"]
        reply = f"You said: {said[-1]}." if said else "Hello. I am a parrot with a voice of my own."
        for word in reply.split():
            delta = llm.ChoiceDelta(role="assistant", content=f"{word} ")
            self._event_ch.send_nowait(llm.ChatChunk(id=uuid.uuid4().hex, delta=delta))


@server.rtc_session(agent_name="parrot")
async def parrot(context: JobContext) -> None:
    url = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
    ears = parley.STT(url, api_key=os.environ.get("PARLEY_API_KEY", ""))
    voice = parley.TTS(os.environ.get("PARLEY_WORKER", "127.0.0.1:50051"))
    session = AgentSession(stt=ears, llm=Parrot(), tts=voice, turn_detection="stt", use_tts_aligned_transcript=True)
    await session.start(agent=Agent(instructions="Repeat what you hear."), room=context.room)
    await context.connect()
    session.generate_reply()


if __name__ == "__main__":
    cli.run_app(server)
