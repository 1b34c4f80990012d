"""Say which language model a run would load, without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.engine import is_installed
from pm.llm.models import choose_model
from pm.llm.opening import here
from pm.llm.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from pm.settings.llm import LlmSettings

__all__ = ["Chosen", "chosen_model"]


@dataclass(frozen=True)
class Chosen:
    """The model that a run would load.

    Attributes
    ----------
    sha256
        Hash of its file; None if there is no model, or its file has still to be made.
    identity
        What tells it from other models; of the default one it is the same before and after its file is made.
    problem
        Why there is no model, in a sentence; None if there is one.
    """

    sha256: str | None = None
    identity: str | None = None
    problem: str | None = None


def chosen_model(folder: Path, settings: LlmSettings) -> Chosen:
    """Return the model of the workspace that the settings choose.

    Parameters
    ----------
    folder
        Folder of the workspace's models.
    """
    if not settings.enabled:
        return Chosen(problem="no language model (llm.enabled is false)")
    if not is_installed():
        return Chosen(problem='language model not installed: python -m pip install -c constraints.txt -e ".[llm]"')
    registry = Registry(folder)
    choice = choose_model(here(folder, settings), settings, registry)
    if choice.model is None:
        reasons = " ".join(f"{name}: {reason}" for name, reason in choice.passed_over)
        return Chosen(problem=f"no language model can be used. {reasons}")
    sha256 = None if choice.model.source is not None else choice.model.sha256(registry)
    return Chosen(sha256, choice.model.name if choice.model.is_default else sha256)
