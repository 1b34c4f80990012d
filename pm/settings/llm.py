"""Settings of config/llm.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from pm.settings.base import Section, Threads

__all__ = ["DEFAULT_MODEL", "LlmSettings"]

DEFAULT_MODEL = "default"
"""Name of the model that comes with extra [llm]."""


class LlmSettings(Section):
    """Settings of the language model; config/llm.yml describes each key."""

    enabled: bool
    chain: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    ollama: bool
    bound_seconds: Annotated[float, Field(gt=0, le=3600)]
    context_tokens: Annotated[int, Field(ge=512, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1, le=128)]
    threads: Threads
    chat_template: Annotated[str, Field(min_length=1)] | None
    texts_per_run: Annotated[int, Field(ge=0, le=1_000_000)]
    time_series_primary: bool

    @field_validator("chain")
    @classmethod
    def _no_model_comes_twice(cls, names: list[str]) -> list[str]:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"model {name[:60]!r} is named twice")
        return names
