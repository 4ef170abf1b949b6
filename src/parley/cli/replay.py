"""``parley replay``: a recorded session again, with the same settings or with others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from parley.replay import Ears


def replay(
    recording: Annotated[Path, typer.Argument(help="A session's folder, or its events.jsonl.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting: barge_in.take_floor_after=0.5; repeat for more.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="Write the state log of the replay to this file.")] = None,
) -> None:
    """Play a recorded session through the engine in virtual time, and say what came out differently.

    With the recorded settings the decisions are the same; with --set this shows what would have changed.
    Exit codes: 0 the same decisions, 3 different ones, 1 something is wrong.
    """
    from parley.recording import read_recording
    from parley.replay import differences, replay, state_log
    from parley.replay.compare import recorded_state_log

    source = read_recording(recording)
    entries = replay(source, ears(), dict(_override(text) for text in set_ or [])).entries
    before, after = recorded_state_log(source), state_log(entries)
    if log is not None:
        log.write_text("".join(f"{line}\n" for _, line in after), encoding="utf-8")
    changed = differences(before, after)
    if not changed:
        typer.echo(f"The same {len(after)} decisions in the same order.")
        return
    typer.echo("\n".join(changed))
    typer.echo(f"\n- recorded ({len(before)} decisions), + replayed ({len(after)} decisions), ~ at another time")
    raise typer.Exit(3)


def ears() -> Ears:
    """What listens, made by the names and settings in the recording."""
    from parley.audio.resample import microphone_resampler
    from parley.interfaces import VoiceActivityDetector
    from parley.replay import Ears
    from parley.vad import VadSettings, create_vad

    def vad(name: str, settings: Mapping[str, Any]) -> VoiceActivityDetector:
        return create_vad(name, VadSettings(**settings))

    return Ears(vad, microphone_resampler)


def _override(text: str) -> tuple[str, float | int | bool | str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--set takes key=value, not {text}")
    if value.lower() in ("true", "false"):
        return key, value.lower() == "true"
    for kind in (int, float):
        try:
            return key, kind(value)
        except ValueError:
            continue
    return key, value
