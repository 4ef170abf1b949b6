"""An agent's side: have Parley say a text, write the sound into a file, and write down what was said.

uv run python examples/mcp/main.py "Good morning." morning.mp3
"""

import asyncio
import base64
import os
import sys
from pathlib import Path

from mcp import Client

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080") + "/mcp"


async def said_and_heard(text: str) -> bytes:
    async with Client(URL) as parley:
        said = await parley.call_tool("say", {"text": text})
        print(said.content[0].text)
        if said.is_error:
            return b""
        heard = await parley.call_tool("listen", {"audio": said.content[1].data})
        print(heard.structured_content["text"])
        return base64.b64decode(said.content[1].data)


if len(sys.argv) != 3:
    sys.exit(__doc__)
Path(sys.argv[2]).write_bytes(asyncio.run(said_and_heard(sys.argv[1])))
