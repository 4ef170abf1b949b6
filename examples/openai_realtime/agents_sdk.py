"""OpenAI's Agents SDK, pointed at Parley: ask something, read the answer while it is spoken.

uv run parley up
uv run --with openai-agents python examples/openai_realtime/agents_sdk.py "Tell me a story."
"""

from __future__ import annotations

import asyncio
import os
import sys

from agents.realtime import RealtimeAgent, RealtimeRunner

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080").replace("http", "ws", 1)


async def main(text: str) -> None:
    runner = RealtimeRunner(RealtimeAgent(name="Assistant", instructions="Be brief."))
    server = {"url": f"{URL}/v1/realtime?model=gpt-realtime", "api_key": os.environ.get("PARLEY_API_KEY", "none")}
    async with await runner.run(model_config=server) as session:
        await session.send_message(text)
        async for event in session:
            if event.type == "raw_model_event" and event.data.type == "transcript_delta":
                print(event.data.delta, end="", flush=True)
            elif event.type == "agent_end":
                print()
                return
            elif event.type == "error":
                sys.exit(str(event.error))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
