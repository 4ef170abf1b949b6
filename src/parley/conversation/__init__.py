"""What was said, called and answered, as items with ids; and what a language model is told of it (pure)."""

from parley.conversation.history import History
from parley.conversation.items import Call, Item, Message, Result, item_from, plain

__all__ = ["Call", "History", "Item", "Message", "Result", "item_from", "plain"]
