"""A workspace: the folder that holds a user's settings, lake, models, views and reports."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pm.errors import StorageError, WorkspaceError
from pm.resources import config_dir

__all__ = ["Workspace", "find_workspace", "init_workspace"]

_MARK = Path("config") / "lake.yml"

_READMES = {
    "lake": (
        "The lake: `catalog.sqlite` (the DuckLake catalog) and `data/` (Parquet). Made by `pm`.\n"
        "Read it with `pm sql`, or from any DuckDB. Do not edit files here by hand.\n"
    ),
    "models": "Weights of language models (GGUF) belong here.\n",
    "sql": (
        "Your own views, one SELECT a file, named `NN_name.sql`; they are created after the built-in ones.\n"
        "Leading comment lines become the view's comment; `-- column: meaning` describes a column.\n"
    ),
}


@dataclass(frozen=True)
class Workspace:
    """The folders of a workspace."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings, one file a section."""
        return self.root / "config"

    @property
    def lake(self) -> Path:
        """The lake: catalog and data."""
        return self.root / "lake"

    @property
    def spool(self) -> Path:
        """Rows on their way to the lake: empty but while a run writes."""
        return self.lake / "spool"

    @property
    def views(self) -> Path:
        """The user's own views."""
        return self.root / "sql"

    @property
    def reports(self) -> Path:
        """Reports, one HTML file a run, and `latest.html`."""
        return self.root / "reports"


def find_workspace(start: Path) -> Workspace | None:
    """Give the workspace a folder lies in, looking upwards; None if it lies in none."""
    for folder in (start, *start.parents):
        if (folder / _MARK).is_file():
            return Workspace(folder)
    return None


def init_workspace(root: Path) -> Workspace:
    """Write a workspace into a folder, leaving alone whatever is there already.

    Raises
    ------
    WorkspaceError
        The path is a file.
    StorageError
        The folder cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise WorkspaceError("A workspace is a folder, this is a file.", where=str(root), hint="name a folder")
    try:
        workspace = Workspace(root.resolve())
        workspace.config.mkdir(parents=True, exist_ok=True)
        for name, text in _READMES.items():
            readme = workspace.root / name / "README.md"
            readme.parent.mkdir(exist_ok=True)
            if not readme.exists():
                readme.write_text(text, encoding="utf-8")
        # The file a workspace is known by comes last, so that a half-written one is not taken for whole.
        for file in sorted(config_dir().glob("*.yml"), key=lambda file: file.name == _MARK.name):
            target = workspace.config / file.name
            if not target.exists():
                shutil.copyfile(file, target)
    except OSError as error:
        raise StorageError(
            f"The workspace cannot be written: {error.strerror}.",
            where=str(error.filename or root),
            hint="choose a folder you can write, or mend its permissions: pm init DIR",
        ) from error
    return workspace
