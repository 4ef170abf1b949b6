"""Settings of the language model bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parley.settings import Setting


@dataclass(frozen=True, slots=True)
class ScriptSettings:
    """The built-in reply script."""

    name: Annotated[str, Setting("What the agent calls itself.")] = "Parley"
    delta_words: Annotated[int, Setting("Words in each delta of a reply.", ge=1, le=1000)] = 3


@dataclass(frozen=True, slots=True)
class OpenAiSettings:
    """A chat endpoint that speaks OpenAI's protocol: Ollama, vLLM, llama.cpp, OpenAI ..."""

    base_url: Annotated[
        str, Setting("Where the endpoint is, up to and including /v1; http://127.0.0.1:11434/v1 is a local Ollama.")
    ] = "http://127.0.0.1:11434/v1"
    model: Annotated[str, Setting("Model that the endpoint is asked for.")] = "llama3.2"
    api_key: Annotated[str, Setting("Key for the endpoint; local ones need none.", secret=True)] = ""
    system_prompt: Annotated[
        str, Setting("What the model is told before the conversation, where session.reply.system_prompt is empty.")
    ] = (
        "You are a friendly voice assistant. Your words are spoken aloud: answer in one to three short sentences, "
        "without lists, markdown or emoji."
    )
    temperature: Annotated[
        float, Setting("Randomness of the replies; -1 leaves it to the endpoint.", ge=-1, le=2)
    ] = -1.0
    max_tokens: Annotated[
        int, Setting("Longest reply; 0 leaves it to the endpoint.", unit="tokens", ge=0, le=100_000)
    ] = 0
    connect_timeout: Annotated[float, Setting("Longest wait for a connection.", unit="s", ge=0.1, le=60)] = 3.0
    first_timeout: Annotated[
        float,
        Setting(
            "Longest wait for a reply's first sign of life; local models may have to load.", unit="s", ge=0.1, le=3600
        ),
    ] = 20.0
    delta_timeout: Annotated[
        float,
        Setting("Longest silence between two signs of life; reasoning is one, too.", unit="s", ge=0.1, le=600),
    ] = 10.0
    thinking_timeout: Annotated[
        float, Setting("Longest wait for a reply's first word, however lively it reasons.", unit="s", ge=0.1, le=3600)
    ] = 120.0
    reasoning_first: Annotated[
        bool,
        Setting("The model's template opens the reasoning itself: nothing is spoken until the reply closes it."),
    ] = False
    system_role: Annotated[
        str,
        Setting(
            "Who gives the instructions; user joins them with the first turn, for templates that know no system.",
            choices=("system", "developer", "user"),
        ),
    ] = "system"
    images: Annotated[
        bool,
        Setting("The model looks at images, which clients may then show; one that it refuses is told in words."),
    ] = True
    history_messages: Annotated[
        int, Setting("Newest messages of the conversation that the model gets to see; 0 for all.", ge=0, le=10_000)
    ] = 40


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """Who thinks of the replies."""

    engine: Annotated[
        str,
        Setting("script (built in, needs nothing) or openai (any OpenAI-compatible endpoint).",
                choices=("script", "openai")),
    ] = "script"  # fmt: skip
    script: ScriptSettings = ScriptSettings()
    openai: OpenAiSettings = OpenAiSettings()
