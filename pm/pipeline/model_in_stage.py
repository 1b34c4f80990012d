"""What stages that ask a language model share: how it is opened, and that no failure of it fails a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from pm.llm.chosen import chosen_model
from pm.llm.opening import open_model
from pm.llm.record import KNOWN, Recorder
from pm.tables.llm import LLM_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.llm.base import LanguageModel
    from pm.llm.chosen import Chosen
    from pm.pipeline.stage import Context

__all__ = ["Opening", "chosen", "opened", "recorder"]

Opening = Callable[["Context"], AbstractContextManager["LanguageModel"]]
"""Opens the model of a run for the block of a `with`; raises a ModelError if it cannot be loaded."""


def chosen(context: Context) -> Chosen:
    """Return the model that a stage would load."""
    return chosen_model(context.workspace.models, context.settings.llm)


@contextmanager
def opened(context: Context) -> Iterator[LanguageModel]:
    """Load the model that the settings choose, for the block of a `with`.

    Raises
    ------
    ModelError
        It cannot be loaded.
    StorageError
        The folder of models cannot be written.
    """
    with open_model(context.workspace.models, context.settings.llm, lambda _: None) as engine:
        yield engine


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
