"""Open the language model that the settings choose, and share it among the stages of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pm.errors import ModelError, PmError
from pm.llm.available import here, model_to_use, model_wanted
from pm.llm.engine import INSTALL, Engine, EngineOptions, require_installed
from pm.llm.models import free_bytes, prepare_default, problem_of
from pm.llm.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pm.llm.available import ChosenModel
    from pm.llm.models import Model
    from pm.settings.llm import LlmSettings

__all__ = ["ModelOfRun", "load", "open_model"]


def open_model(
    folder: Path,
    settings: LlmSettings,
    notify: Callable[[str], None],
    *,
    models: Callable[[], Sequence[Model]] | None = None,
) -> Engine:
    """Load the model that `model_to_use` returns; close it, or use it in a `with` block.

    Parameters
    ----------
    folder
        Folder of the workspace's models.
    notify
        Called with lines that the user should read: that the default model's file is made, or a large one hashed.
    models
        Returns the models that are here; None to look for them.

    Raises
    ------
    ModelError
        llama.cpp is not installed, no model of the chain can be used, or it cannot be loaded.
    StorageError
        The folder cannot be written.
    """
    require_installed()
    chosen = model_to_use(folder, settings, models=models, notify=notify)
    if chosen.model is None:
        raise ModelError(
            f"{(chosen.problem or '')[:1].upper()}{(chosen.problem or '')[1:]}",
            where="llm.chain",
            hint=f"pm models list; or install the default: {INSTALL}",
        )
    registry = Registry(folder, notify)
    return load(prepare_default(chosen.model, registry, notify), settings, registry)


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


class ModelOfRun:
    """The language model of a run: loaded for the first stage that asks it, and shared with the stages after it.

    It is used in a `with` block, whose end ends the model's process.

    Parameters
    ----------
    folder, settings
        See `open_model`.
    """

    def __init__(self, folder: Path, settings: LlmSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._engine: Engine | None = None
        self._error: PmError | None = None
        self._models: list[Model] | None = None
        self._wanted: ChosenModel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def wanted(self, notify: Callable[[str], None]) -> ChosenModel:
        """Return the model that the stages of the run depend on; see `model_wanted`. It is looked for once in a run.

        Parameters
        ----------
        notify
            See `open_model`.
        """
        if self._wanted is None:
            self._wanted = model_wanted(self._folder, self._settings, models=self._here, notify=notify)
        return self._wanted

    def usable(self, notify: Callable[[str], None]) -> ChosenModel:
        """Return the model that would be loaded now; see `model_to_use`.

        Parameters
        ----------
        notify
            See `open_model`.
        """
        return model_to_use(self._folder, self._settings, models=self._here, notify=notify)

    def _here(self) -> list[Model]:
        """Return the models that are here; their headers are read once in a run."""
        if self._models is None:
            self._models = here(self._folder, self._settings)
        return self._models

    def open(self, notify: Callable[[str], None]) -> Engine:
        """Return the model. It is loaded if no stage has asked for it, or if its process has died since.

        A model that could not be loaded is not tried again in the run.

        Parameters
        ----------
        notify
            See `open_model`.

        Raises
        ------
        ModelError, StorageError
            See `open_model`.
        """
        if self._error is not None:
            raise self._error
        if self._engine is not None and self._engine.restarts:
            self._close()  # what killed it for one stage is no business of the next
        if self._engine is None:
            try:
                self._engine = open_model(self._folder, self._settings, notify, models=self._here)
            except PmError as error:
                self._error = error
                raise
            finally:
                self._models = None  # the file of the default model may have been made
        return self._engine

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
