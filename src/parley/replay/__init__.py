"""A recorded session again, in virtual time: with the same settings, or with others."""

from parley.replay.compare import differences, state_log
from parley.replay.run import Ears, Replayed, replay

__all__ = ["Ears", "Replayed", "differences", "replay", "state_log"]
