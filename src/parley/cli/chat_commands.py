"""What is typed in ``parley chat``: a turn, or a command that begins with a slash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from parley.errors import ParleyError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from parley.client.conversation import Conversation
    from parley.client.session import SessionClient

HELP = {
    "/model [NAME]": "list the models that speak, or speak with another one from the next answer on",
    "/voice [SPEAKER]": "list the speakers of the model, or take another one; MODEL/SPEAKER changes both",
    "/interrupt": "stop the answer",
    "/save FILE": "write down what was said so far",
    "/quit": "end the conversation",
    "/help": "this list",
}
_MOST_NAMES = 30
_PATIENCE = 5.0


def parse(line: str) -> tuple[str, str]:
    """``("save", "file.txt")`` for a command, ``("", text)`` for a turn; two slashes begin a turn with one."""
    text = line.strip()
    if not text.startswith("/"):
        return "", text
    if text.startswith("//"):
        return "", text[1:]
    name, _, rest = text[1:].partition(" ")
    return name.lower(), rest.strip()


def is_turn(line: str) -> bool:
    """Whether somebody is to answer."""
    return not parse(line)[0]


def transcript(conversation: Conversation) -> str:
    """What was said, a line for each turn, with what became of it where that is worth saying."""
    said = [line for line in conversation.lines if line.who != "note" and line.text.strip()]
    notes = (f"  ({line.note})" if line.note else "" for line in said)
    return "".join(f"{line.who}: {line.text.strip()}{note}\n" for line, note in zip(said, notes, strict=True))


class Commands:
    """Carries out what is typed; answers stand in the conversation as notes."""

    def __init__(self, client: SessionClient, conversation: Conversation, api_key: str) -> None:
        self._client = client
        self._conversation = conversation
        self._api_key = api_key

    async def take(self, line: str) -> bool:
        """Carry out a line; False when it ends the conversation. What goes wrong is told as a note.

        UnavailableError when the server has gone.
        """
        from parley.messages import Interrupt, TextInput

        name, rest = parse(line)
        match name:
            case "":
                self._conversation.unanswered = True
                await self._client.send(TextInput(rest))
            case "quit" | "exit":
                return False
            case "interrupt":
                await self._client.send(Interrupt())
            case "help":
                for usage, meaning in HELP.items():
                    self._tell(f"{usage}: {meaning}")
            case "save":
                self._save(rest)
            case "model" | "voice":
                await (self._choose(name, rest) if rest else self._list(name))
            case _:
                self._tell(f"There is no command /{name[:40]}; /help lists those there are.")
        return True

    def _tell(self, text: str) -> None:
        self._conversation.tell(text)

    def _save(self, name: str) -> None:
        from pathlib import Path

        if not name:
            self._tell("Say where to: /save FILE.")
            return
        path = Path(name).expanduser()
        try:
            _write_new(path, transcript(self._conversation))
        except FileExistsError:
            self._tell(f"{path} is there already; name another file.")
        except OSError as error:
            self._tell(f"{path} cannot be written: {error.strerror}.")
        else:
            self._tell(f"Written to {path}.")

    async def _choose(self, kind: str, name: str) -> None:
        from parley.messages import SetVoice
        from parley.values import Voice

        model, slash, speaker = name.partition("/")
        if kind == "voice" and not slash:
            model, speaker = self._conversation.model, name
        await self._client.send(SetVoice(Voice(model=model, speaker=speaker)))

    async def _list(self, kind: str) -> None:
        try:
            models = await _models(self._client.url, self._api_key)
        except ParleyError as error:
            self._tell(error.message)
            return
        if kind == "model":
            for model in models:
                mark = " *" if model["model_id"] == self._conversation.model else ""
                self._tell(f"{model['model_id']}{mark} ({', '.join(model['languages'][:3])}; {model['state']})")
            return
        speakers = [
            name for model in models if model["model_id"] == self._conversation.model for name in model["speakers"]
        ]
        more = f" and {len(speakers) - _MOST_NAMES} more" if len(speakers) > _MOST_NAMES else ""
        self._tell(f"Speakers: {', '.join(speakers[:_MOST_NAMES]) or 'this model names none'}{more}.")


def _write_new(path: Path, text: str) -> None:
    """FileExistsError where something is there: what was said once is not written over."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


async def _models(url: str, api_key: str) -> list[dict[str, Any]]:
    """The models of the server with this session address. Raises UnavailableError in one sentence."""
    import httpx2

    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    address = urlunsplit(
        (scheme, parts.netloc, f"{parts.path.removesuffix('/v1/session').rstrip('/')}/v1/models", "", "")
    )
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with httpx2.AsyncClient(timeout=_PATIENCE, trust_env=False) as http:
            answer = await http.get(address, headers=headers)
            answer.raise_for_status()
            models: list[dict[str, Any]] = answer.json()["models"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"The server does not say which models it has ({type(error).__name__}).") from error
    return models
