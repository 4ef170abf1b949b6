"""What a worker and the child of a voice say to each other, where their Pythons differ."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

from parley.values import ModelInfo
from parley.worker import engine_wire as say
from parley.worker.adapters.parler import ParlerAdapter
from parley.worker.pack import VoicePack


def test_an_adapter_comes_through_and_names_no_module_that_only_some_pythons_have() -> None:
    adapter = ParlerAdapter(VoicePack(ModelInfo("p", "parler"), Path("/packs/parler/p"), speaker_ids={"ann": "She."}))
    packed = say.pack_adapter(adapter)
    other = pickle.loads(packed)
    assert (other.info, other._folder.__func__) == (adapter.info, ParlerAdapter._folder)
    assert other._pack.folder == Path("/packs/parler/p")
    named = {part for _, part, _ in pickletools.genops(packed) if isinstance(part, str)}
    assert not {name for name in named if name.startswith("pathlib")}
