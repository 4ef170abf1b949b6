"""Settings of the environments of engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the environments of engines lie, and which torch is put into them."""

    folder: Annotated[
        str,
        Setting(
            "Folder of the environments that `parley engines install` makes; empty for the usual place of a user's "
            "data on this system. On the same disk as uv's cache they share its files."
        ),
    ] = ""
    torch_index: Annotated[
        str,
        Setting(
            "Package index, or folder of wheels, to take torch and its companions from, such as one of CPU builds, "
            "which need no CUDA libraries; their versions are pinned as ever, their checksums are that index's. "
            "Empty: the usual index, with checksums; on Linux it has the build for CUDA, which runs on a CPU too."
        ),
    ] = ""
