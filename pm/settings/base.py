"""What the sections of the settings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "Probability", "Section", "Window"]

Probability = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Window = Annotated[int, Field(ge=2)]


class Section(BaseModel):
    """A section of the settings: a file of config/, immutable, that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
