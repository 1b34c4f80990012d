"""Open the language model that the settings choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import ModelError
from pm.llm.engine import Engine, EngineOptions, require_installed
from pm.llm.models import choose_model, find_models, free_bytes, prepare_default, problem_of
from pm.llm.registry import Registry
from pm.settings.process import ollama_folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.models import Model
    from pm.settings.llm import LlmSettings

__all__ = ["here", "load", "open_model"]


def here(folder: Path, settings: LlmSettings) -> list[Model]:
    """Return the models that are here; see `find_models`."""
    return find_models(folder, ollama_folders() if settings.ollama else ())


def open_model(folder: Path, settings: LlmSettings, notify: Callable[[str], None]) -> Engine:
    """Load the model that the settings choose; close it, or use it in a `with` block.

    Parameters
    ----------
    folder
        Folder of the workspace's models.
    notify
        Called with lines that the user should read: that the default model's file is made.

    Raises
    ------
    ModelError
        llama.cpp is not installed, no model of the chain can be used, or it cannot be loaded.
    StorageError
        The folder cannot be written.
    """
    require_installed()
    registry = Registry(folder)
    choice = choose_model(here(folder, settings), settings, registry)
    if choice.model is None:
        reasons = " ".join(f"{name}: {reason}" for name, reason in choice.passed_over)
        raise ModelError(
            f"No language model can be used. {reasons}",
            where="llm.chain",
            hint='pm models list; or install the default: python -m pip install -c constraints.txt -e ".[llm]"',
        )
    return load(prepare_default(choice.model, registry, notify), settings, registry)


def load(model: Model, settings: LlmSettings, registry: Registry) -> Engine:
    """Load a model whose file is there.

    Raises
    ------
    ModelError
        It cannot be used, or does not fit in the free memory: it is refused before it is loaded.
    """
    problem = problem_of(model, settings, free_bytes())
    if problem is not None or model.header is None:
        raise ModelError(
            f"Model {model.name} cannot be loaded. {problem}", where=str(model.path), hint="choose another model"
        )
    return Engine(
        EngineOptions(
            path=model.path,
            name=model.name,
            sha256=model.sha256(registry),
            context_tokens=min(settings.context_tokens, model.header.context_tokens),
            batch_size=settings.batch_size,
            threads=settings.threads,
            chat_template=model.header.chat_template or settings.chat_template,
        )
    )
