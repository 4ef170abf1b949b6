"""Settings of the store of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where fetched models are kept."""

    folder: Annotated[
        str, Setting("Folder of fetched models; empty for the usual place of a user's data on this system.")
    ] = ""
    mirror: Annotated[
        str, Setting("Mirror of the model hub, such as https://hub.example.org; empty for the hub itself.")
    ] = ""
