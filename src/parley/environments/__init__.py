"""Environments of engines whose packages tolerate no others: made by ``parley engines install``, one folder each.

``groups`` says what there is and decides; ``shelf`` keeps what was made; ``installing`` makes it with ``uv``;
``child_package`` is the part of Parley that lives in each of them.
"""

from parley.environments.groups import GROUPS, Group
from parley.environments.settings import EngineSettings
from parley.environments.shelf import Environments, open_environments

__all__ = ["GROUPS", "EngineSettings", "Environments", "Group", "open_environments"]
