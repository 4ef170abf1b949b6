"""A conversation as a list of items, kept within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley.conversation.heard import heard_text
from parley.conversation.items import Call, Item, Message, Result, Role
from parley.conversation.telling import LONGEST, forgotten, tell, told_length
from parley.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parley.values import ChatMessage

MOST = 2_000
"""Items, those included that say nothing."""
MOST_IMAGES = 8
MOST_IMAGE_CHARACTERS = 2_000_000
"""Of all images together; the oldest are forgotten, and leave a word behind."""
NO_IMAGE = "(An image was shown here that is not kept any more.)"


class History:
    """The conversation so far, oldest first, without words that nobody heard.

    ``limit`` bounds how often the sides alternate: the oldest are forgotten, together with what was called and
    answered between them. So are, of all items, the newest kept that have ``LONGEST_IN_ALL`` characters together; and
    of what one side says without an answer, the newest ``LONGEST`` characters.
    """

    def __init__(
        self,
        items: Iterable[Item] = (),
        *,
        limit: int = 100,
        name: Callable[[], str] | None = None,
        keep_empty: bool = False,
    ) -> None:
        """``name`` makes ids; ``keep_empty``: an entry keeps its place though nothing was understood or heard of it."""
        self._limit = limit
        self._name = name
        self._keep_empty = keep_empty
        self._items: list[Item] = []
        self._named = 0
        for item in items:
            self._put(len(self._items), item)
        self._forget()

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them, in their order."""
        return tuple(self._items)

    def messages(self, system_prompt: str = "", *, turn: str = "") -> list[ChatMessage]:
        """What a language model is told: the prompt, the conversation, and ``turn``, the participant's newest words.

        Neighbouring messages of one side are joined, since most models want the roles to alternate; each call is
        followed by its result.
        """
        return tell(self._items, system_prompt, turn=turn)

    def unanswered(self) -> list[Message]:
        """What the participant has said behind all that the agent's side has said, called or answered."""
        newest: list[Message] = []
        for item in reversed(self._items):
            if not isinstance(item, Message) or item.role != "user":
                break
            newest.insert(0, item)
        return newest

    def ask(self, call_id: str, name: str, arguments: str) -> Call:
        """A tool is called now. The call has another name where there was one of that name."""
        taken = {item.call_id for item in self._items if isinstance(item, Call)}
        named = call_id or "call"
        number = 2
        while named in taken:
            named, number = f"{call_id or 'call'}-{number}", number + 1
        call = Call(named, name, arguments)
        self.insert(call)
        return call

    def answer(self, call_id: str, output: str) -> None:
        """This became of a call, now; nothing is added where it was forgotten or answered before."""
        answered = any(isinstance(item, Result) and item.call_id == call_id for item in self._items)
        if self.knows_call(call_id) and not answered:
            self.insert(Result(call_id, output))

    def place_of_call(self, call_id: str) -> tuple[str, str]:
        """The ids of the item before a call and of its result; empty where there is none."""
        before = result = at = ""
        for item in self._items:
            if isinstance(item, Call) and item.call_id == call_id:
                before = at
            elif isinstance(item, Result) and item.call_id == call_id:
                result = item.id
            at = item.id
        return before, result

    # --- by id -------------------------------------------------------------------------

    def get(self, item_id: str) -> Item:
        """The item of this id. Raises NotFound."""
        return self._items[self._place_of(item_id)]

    def knows_call(self, call_id: str) -> bool:
        """Whether a call of this name is still remembered."""
        return any(isinstance(item, Call) and item.call_id == call_id for item in self._items)

    def insert(self, item: Item, *, after: str | None = None) -> Item:
        """Add an item behind the one with the id ``after``; "" is the beginning, None the end.

        One without an id is given one. Raises NotFound for an unknown ``after``, and InvalidRequest for an id that is
        taken, for a second call or result of one name, and for the result of a call that is not before it.
        """
        place = len(self._items) if after is None else self._place_of(after) + 1 if after else 0
        self._check(item, place)
        self._put(place, item)
        self._forget()
        return item

    def delete(self, item_id: str) -> None:
        """Forget an item; with a call goes its result. Raises NotFound."""
        self._items.pop(self._place_of(item_id))
        self._forget_orphans()

    def before(self, item_id: str) -> str:
        """The id of the item before this one; empty for the first. Raises NotFound."""
        place = self._place_of(item_id)
        return self._items[place - 1].id if place else ""

    def new_id(self) -> str:
        """One that nothing has."""
        taken = {item.id for item in self._items}
        while True:
            self._named += 1
            made = self._name() if self._name is not None else f"item_{self._named}"
            if made not in taken:
                return made

    def truncate(self, item_id: str, heard: int) -> None:
        """Of the agent's message ``item_id`` only the first ``heard`` samples (48 kHz) reached the ear.

        A word counts when more than half of it did; of what was known to be unheard nothing comes back where the sound
        is not known. Raises NotFound, and InvalidRequest for what the agent did not say.
        """
        item = self.get(item_id)
        if not isinstance(item, Message) or item.role != "assistant":
            raise InvalidRequest("Only what the agent said can be cut to what was heard of it.")
        whole = item.whole or item.text
        item.cut = heard = heard if item.cut is None else min(heard, item.cut)
        item.text = heard_text(whole, item.marks, heard, finished=item.complete and item.samples <= heard)
        if not item.whole:
            item.marks = tuple(mark for mark in item.marks if mark.text_end <= len(item.text))

    # --- as it happens -----------------------------------------------------------------

    def add_participant(self, text: str) -> Message:
        """The participant said this; where nothing was said, nothing is added."""
        return self._add("user", text) if text else Message("user", "")

    def add_agent(self, heard: str) -> Message:
        """The participant heard this of a reply; nothing is added when they heard nothing."""
        return self._add("assistant", heard) if heard else Message("assistant", "")

    def keep_place(self, role: Role, item_id: str = "") -> Message:
        """Something was said here that is not known yet: :meth:`amend` says what, or that it was nothing."""
        return self._add(role, "", item_id)

    def amend(self, message: Message, text: str) -> None:
        """It is known better now what was said there; empty for nothing."""
        message.text = text
        place = next((place for place, item in enumerate(self._items) if item is message), None)
        if place is None:
            return
        if text:
            self._shorten(place)
        elif not self._keep_empty:
            del self._items[place]
        self._forget()

    def _add(self, role: Role, text: str, item_id: str = "") -> Message:
        message = Message(role, text, item_id)
        self._put(len(self._items), message)
        self._shorten(len(self._items) - 1)
        self._forget()
        return message

    # --- bounds ------------------------------------------------------------------------

    def _put(self, place: int, item: Item) -> None:
        if not item.id or any(known.id == item.id for known in self._items):
            item.id = self.new_id()
        self._items.insert(place, item)

    def _place_of(self, item_id: str) -> int:
        for place, item in enumerate(self._items):
            if item.id == item_id:
                return place
        raise NotFound("The conversation has no item of this id.")

    def _check(self, item: Item, place: int) -> None:
        if any(known.id == item.id for known in self._items):
            raise InvalidRequest("The conversation has an item of this id already.")
        if isinstance(item, Message):
            return
        kind: Any = type(item)
        if any(isinstance(known, kind) and known.call_id == item.call_id for known in self._items):
            raise InvalidRequest(f"There is a {kind.__name__.lower()} of this name already.")
        asked = (known for known in self._items[:place] if isinstance(known, Call))
        if isinstance(item, Result) and all(known.call_id != item.call_id for known in asked):
            raise InvalidRequest("A result must stand behind its call.")

    def _shorten(self, place: int) -> None:
        """Keep the newest ``LONGEST`` characters of what this side says here; the last words whole in any case."""
        side: list[Item] = []
        for side in self._sides():
            place -= len(side)
            if place < 0:
                break
        said = [item for item in side if isinstance(item, Message) and item.text]
        over = len(" ".join(message.text for message in said)) - max(LONGEST, len(said[-1].text) if said else 0)
        for message in said:
            if over <= 0:
                return
            if len(message.text) >= over:
                message.text = message.text[over:].lstrip()
                return
            over -= len(message.text) + 1
            self._items.remove(message)

    def _forget(self) -> None:
        sides = self._sides()[-self._limit :]
        kept = sides[forgotten([sum(map(told_length, side)) for side in sides]) :]
        self._items = [item for side in kept for item in side][-MOST:]
        self._forget_images()
        self._forget_orphans()

    def _forget_images(self) -> None:
        """Only the newest stay, and their messages say that there were more."""
        count = length = 0
        for item in reversed(self._items):
            if not isinstance(item, Message) or not item.images:
                continue
            count += len(item.images)
            length += sum(len(image.url) for image in item.images)
            if count > MOST_IMAGES or length > MOST_IMAGE_CHARACTERS:
                without_images(item)

    def _forget_orphans(self) -> None:
        """Results whose calls are gone."""
        asked: set[str] = set()
        kept: list[Item] = []
        for item in self._items:
            if isinstance(item, Call):
                asked.add(item.call_id)
            if not isinstance(item, Result) or item.call_id in asked:
                kept.append(item)
        self._items = kept

    def _sides(self) -> list[list[Item]]:
        """Runs of items of one side; what is called and answered belongs to the agent's."""
        sides: list[list[Item]] = []
        newest: Role | None = None
        for item in self._items:
            role: Role = item.role if isinstance(item, Message) else "assistant"
            if role != newest:
                newest = role
                sides.append([])
            sides[-1].append(item)
        return sides


def without_images(message: Message) -> None:
    """It shows none any more, and says that it did."""
    message.images, message.text = (), f"{message.text} {NO_IMAGE}".strip()
