"""Language models: one table of bridges, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from parley.errors import ConfigError
from parley.hints import install_packages
from parley.llm.settings import LlmSettings, OpenAiSettings, ScriptSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley.interfaces import LanguageModel
    from parley.values import Voice

    Voices = Callable[[], Sequence[Voice]]

MODELS: dict[str, str] = {
    "script": "parley.llm.script:ScriptModel",
    "openai": "parley.llm.openai:OpenAiModel",
}
"""Name in the settings -> "module:Class"; each class takes an LlmSettings and, as ``voices``, who knows the voices."""

__all__ = ["MODELS", "LlmSettings", "OpenAiSettings", "ScriptSettings", "create_language_model"]


def create_language_model(settings: LlmSettings, *, voices: Voices = lambda: ()) -> LanguageModel:
    """Make the bridge that ``settings.engine`` names; one serves all sessions. ``voices``: those to switch to.

    Raises ConfigError for a name that is not in the table and for a package that is not installed.
    """
    if settings.engine not in MODELS:
        raise ConfigError(f'There is no language model "{settings.engine}"; choose one of {", ".join(MODELS)}.')
    module, _, attribute = MODELS[settings.engine].partition(":")
    try:
        model = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The language model {settings.engine} needs a package; install it with: "
            f"{install_packages(str(error.name))}."
        ) from error
    return cast("LanguageModel", model(settings, voices=voices))
