"""What is said when a model can not be had or will not leave: one sentence each, with what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley.errors import CapacityError, ConfigError, EngineError, ParleyError, PreconditionFailed

if TYPE_CHECKING:
    from parley.worker.residency import Refuse, Residency


def refusal(refuse: Refuse, model_id: str, policy: Residency, failure: ParleyError | None) -> ParleyError:
    """The error for whoever asked for ``model_id``. ``failure`` is why its last load or unload failed."""
    match refuse.reason:
        case "failed":
            return failure or EngineError(f"The model {model_id} failed: {refuse.detail}")
        case "too_big":
            return _too_big(model_id, int(refuse.detail), policy)
        case "in_use":
            return PreconditionFailed(f"The model {model_id} is in use by {policy.leases(model_id)} sessions.")
        case "busy":
            return PreconditionFailed(f"The model {model_id} is being loaded; try again when it is ready.")
        case "not_resident":
            return PreconditionFailed(f"The model {model_id} is not in memory.")
        case _ if policy.serving(model_id) is not None:
            return CapacityError(
                f"There is no room to read {model_id} again beside the one that serves, which goes on; "
                "unload it and load it again, or raise worker.models.memory_budget_bytes.",
                retry_after=refuse.retry_after,
            )
        case _:
            return CapacityError(
                f"There is no room for the model {model_id}: every other model is in use, pinned or too young.",
                retry_after=refuse.retry_after,
            )


def not_freed(model_id: str, failure: Exception, lost: int) -> EngineError:
    """A model has left service, but its engine raised ``failure`` and ``lost`` bytes did not come back."""
    kept = f"; {_megabytes(lost)} did not come back and count as used until the worker is restarted" if lost else ""
    return EngineError(
        f"The model {model_id} serves no more, but its engine failed while it was unloaded ({failure!r}){kept}."
    )


def too_slow(model_id: str, factor: float, most: float) -> ConfigError:
    """Its real-time factor is above what the settings allow."""
    return ConfigError(
        f"The model {model_id} takes {factor:.1f} s for a second of speech on this machine, and "
        f"worker.synthesis.slowest allows {most:g}; choose a smaller voice, or raise that setting."
    )


def shutting_down() -> CapacityError:
    """The worker has begun to end."""
    return CapacityError("The worker is shutting down.", retry_after=1.0)


def queue_full(waiting: int, retry_after: float) -> CapacityError:
    """As many utterances wait for an engine as may."""
    return CapacityError(
        f"All engines are busy and {waiting} more {'utterances wait' if waiting != 1 else 'utterance waits'} "
        f"for one, as many as may; try again in {retry_after:.1f} s or use another worker.",
        retry_after=retry_after,
    )


def _too_big(model_id: str, need: int, policy: Residency) -> CapacityError:
    budget = f"the worker's whole memory budget of {_megabytes(policy.limits.memory_budget)}"
    mend = "raise worker.models.memory_budget_bytes"
    if policy.memory_lost:
        budget += f" less {_megabytes(policy.memory_lost)} that models which failed to unload have kept"
        mend += " or restart the worker"
    return CapacityError(f"The model {model_id} needs {_megabytes(need)}, more than {budget}; {mend}.", retry_after=60)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
