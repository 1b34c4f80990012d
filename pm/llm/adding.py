"""Put the file of a model into the workspace."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import InputError, ModelError, StorageError
from pm.llm.gguf import read_gguf
from pm.llm.models import DEFAULT_FILE
from pm.open_files import replace
from pm.settings.llm import DEFAULT_MODEL
from pm.windows_paths import windows_problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Added", "add_model"]


@dataclass(frozen=True)
class Added:
    """A model that was put into the workspace: its name, and its file."""

    name: str
    path: Path


def add_model(source: Path, folder: Path, name: str | None = None) -> Added:
    """Put a model's file into the workspace's folder: as a hard link, or as a copy where there can be none.

    Parameters
    ----------
    source
        The file.
    folder
        Folder of the workspace's models.
    name
        Name to give it; that of the file by default.

    Raises
    ------
    ModelError
        The file does not exist or holds no model that can be used.
    InputError
        The name is taken, or cannot be that of a file.
    StorageError
        The folder cannot be written, or the disk is full.
    """
    if source.is_dir():
        raise ModelError("This is a folder, and a model is a file.", where=str(source), hint="name a file in GGUF")
    read_gguf(source)
    name = name if name is not None else source.stem
    problem = _problem(name)
    if problem is not None:
        raise InputError(f"A model cannot be named {name[:100]!r}: {problem}.", hint="give it a name: --name NAME")
    target = folder / f"{name}.gguf"
    if target.exists():
        if target.samefile(source):
            return Added(name, target)
        raise InputError(
            f"There is a model {name} already.", where=str(target), hint="give it another name: --name NAME"
        )
    draft = folder / f"{name}.{secrets.token_hex(4)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.resolve(), draft)
        except OSError:  # on another disk, or one without links
            shutil.copyfile(source, draft)
        replace(draft, target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StorageError(
            f"The model cannot be put into the workspace: {error.strerror}.",
            where=str(target),
            hint="free some space, or correct the permissions",
        ) from None
    return Added(name, target)


def _problem(name: str) -> str | None:
    """Return why a model cannot have a name."""
    if not name or not name.isprintable() or "/" in name or "\\" in name or name.startswith("."):
        return "it cannot be the name of a file"
    if name == DEFAULT_MODEL or f"{name}.gguf" == DEFAULT_FILE:
        return "that is the model that comes with extra [llm]"
    return windows_problem(f"{name}.gguf")
