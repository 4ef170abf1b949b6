"""Conversation quality: who takes the floor when, measured on conversations whose truth is known.

``corpus`` makes the cases, ``harness`` plays each through the real session engine in virtual time,
``score`` compares what happened with what should have, ``plots`` draws it.
"""

from parley.bench.turns.run import run

__all__ = ["run"]
