"""Say which language model the stages of a run and the commands use, without loading it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.llm.engine import INSTALL, is_installed
from pm.llm.models import choose_model, find_models
from pm.llm.registry import Registry
from pm.settings.process import ollama_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pm.llm.models import Model
    from pm.settings.llm import LlmSettings

__all__ = ["ChosenModel", "here", "model_to_use", "model_wanted"]


@dataclass(frozen=True)
class ChosenModel:
    """The model that the settings choose.

    Attributes
    ----------
    model
        The model; None if there is none.
    identity
        Hash by which it is the same model in two runs: that of the file which it was or will be made from, or its own.
    sha256
        Hash of its file; None if there is no model, or its file has still to be made.
    problem
        Why there is no model, in a sentence; None if there is one.
    """

    model: Model | None = None
    identity: str | None = None
    sha256: str | None = None
    problem: str | None = None


def here(folder: Path, settings: LlmSettings) -> list[Model]:
    """Return the models that are here; see `find_models`."""
    return find_models(folder, ollama_folders() if settings.ollama else ())


def model_to_use(
    folder: Path,
    settings: LlmSettings,
    *,
    models: Callable[[], Sequence[Model]] | None = None,
    notify: Callable[[str], None] | None = None,
) -> ChosenModel:
    """Return the model that would be loaded now: the first of the chain that fits in the free memory.

    Parameters
    ----------
    folder
        Folder of the workspace's models.
    models
        Returns the models that are here; None to look for them.
    notify
        Called with a line before a large file is hashed.
    """
    return _chosen(folder, settings, None, models, notify)


def model_wanted(
    folder: Path,
    settings: LlmSettings,
    *,
    models: Callable[[], Sequence[Model]] | None = None,
    notify: Callable[[str], None] | None = None,
) -> ChosenModel:
    """Return the model that would be loaded if there were memory enough.

    What a stage depends on: which model fits changes from night to night, and is no reason to do everything anew.

    Parameters
    ----------
    folder, models, notify
        See `model_to_use`.
    """
    return _chosen(folder, settings, sys.maxsize, models, notify)


def _chosen(
    folder: Path,
    settings: LlmSettings,
    free: int | None,
    models: Callable[[], Sequence[Model]] | None,
    notify: Callable[[str], None] | None,
) -> ChosenModel:
    if not settings.enabled:
        return ChosenModel(problem="no language model (llm.enabled is false)")
    if not is_installed():
        return ChosenModel(problem=f"language model not installed: {INSTALL}")
    try:
        registry = Registry(folder, notify)
        choice = choose_model(here(folder, settings) if models is None else models(), settings, registry, free)
        model = choice.model
        if model is None:
            reasons = " ".join(f"{name}: {reason}" for name, reason in choice.passed_over)
            return ChosenModel(problem=f"no language model can be used. {reasons}")
        if model.source is not None:
            return ChosenModel(model, registry.sha256(model.source))
        sha256 = model.sha256(registry)
        return ChosenModel(model, registry.made_from(model.path) or sha256, sha256)
    except PmError as error:  # a file of a model that cannot be read
        return ChosenModel(problem=f"no language model: {error.what}")
