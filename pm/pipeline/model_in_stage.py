"""What stages that ask a language model share: which one, how it is opened, and what they say if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pm.llm.available import ChosenModel
from pm.llm.base import LanguageModel
from pm.llm.record import KNOWN, Recorder
from pm.pipeline.stage import Context
from pm.tables.llm import LLM_CALLS

if TYPE_CHECKING:
    from pm.errors import PmError

__all__ = ["Choice", "Opening", "failure", "opened", "recorder", "usable", "wanted"]

Opening = Callable[[Context], LanguageModel]
"""Opens the model of a run; raises a ModelError or a StorageError if it cannot. Who opens it for the run closes it."""
Choice = Callable[[Context], ChosenModel]
"""Returns the model that a run uses, without loading it."""


def wanted(context: Context) -> ChosenModel:
    """Return the model that a stage depends on: that of the settings, however much memory is free."""
    return context.model.wanted(context.notify)


def usable(context: Context) -> ChosenModel:
    """Return the model that would be loaded now."""
    return context.model.usable(context.notify)


def opened(context: Context) -> LanguageModel:
    """Return the model of the run, loaded if no stage before has asked for it.

    Raises
    ------
    ModelError
        It cannot be loaded.
    StorageError
        The folder of models cannot be written.
    """
    return context.model.open(context.notify)


def recorder(context: Context, model: LanguageModel, roles: tuple[str, ...]) -> Recorder:
    """Return the model with what the lake knows of its earlier calls of some roles.

    The stage must declare `past=(LLM_CALLS,)`.
    """
    known = context.read(
        LLM_CALLS,
        "model_sha256 = ? AND list_contains(?, role)",
        [model.info.sha256, list(roles)],
        columns=KNOWN,
    )
    return Recorder(model, known)


def failure(error: PmError) -> str:
    """Return in a few words that the model failed. No failure of it is one of the run."""
    return f"language model failed: {error.what.rstrip('.')}"
