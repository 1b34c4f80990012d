"""Create and find workspaces. A workspace is a folder with a user's settings, lake, views, models and reports."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pm.errors import StorageError, WorkspaceError
from pm.resources import config_dir

__all__ = ["Workspace", "find_workspace", "init_workspace"]

_MARK = Path("config") / "lake.yml"
"""The file by which a folder is recognised as a workspace."""

_READMES = {
    "lake": (
        "The lake: `catalog.sqlite` (the DuckLake catalog) and `data/` (Parquet), written by `pm`.\n"
        "Read it with `pm sql`, or from any DuckDB. Do not edit files here by hand.\n"
    ),
    "models": "Put weights of language models (GGUF) here.\n",
    "sql": (
        "Put your own views here: files `NN_name.sql` with one SELECT each. They are created after the built-in ones.\n"
        "The comment lines at the top become the view's comment; `-- column: text` describes a column.\n"
    ),
}


@dataclass(frozen=True)
class Workspace:
    """The folders of a workspace.

    Parameters
    ----------
    root
        The folder of the workspace.
    """

    root: Path

    @property
    def config(self) -> Path:
        """Folder of the settings, one file per section."""
        return self.root / "config"

    @property
    def lake(self) -> Path:
        """Folder of the lake, with its catalog and its data."""
        return self.root / "lake"

    @property
    def spool(self) -> Path:
        """Rows on their way to the lake: empty but while a run writes."""
        return self.lake / "spool"

    @property
    def views(self) -> Path:
        """Folder of the user's own views."""
        return self.root / "sql"

    @property
    def reports(self) -> Path:
        """Folder of the reports, one HTML file per run, and `latest.html`."""
        return self.root / "reports"


def find_workspace(start: Path) -> Workspace | None:
    """Return the workspace that a folder is, or is inside of; None if there is none."""
    for folder in (start, *start.parents):
        if (folder / _MARK).is_file():
            return Workspace(folder)
    return None


def init_workspace(root: Path) -> Workspace:
    """Create a workspace in a folder, and return it. Files that exist already are not changed.

    Raises
    ------
    WorkspaceError
        The path is a file.
    StorageError
        The folder cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise WorkspaceError("A workspace must be a folder, and this is a file.", where=str(root), hint="name a folder")
    try:
        workspace = Workspace(root.resolve())
        workspace.config.mkdir(parents=True, exist_ok=True)
        for name, text in _READMES.items():
            readme = workspace.root / name / "README.md"
            readme.parent.mkdir(exist_ok=True)
            if not readme.exists():
                readme.write_text(text, encoding="utf-8")
        # The file by which a workspace is recognised is written last, so that an incomplete one is not recognised.
        for file in sorted(config_dir().glob("*.yml"), key=lambda file: file.name == _MARK.name):
            target = workspace.config / file.name
            if not target.exists():
                shutil.copyfile(file, target)
    except OSError as error:
        raise StorageError(
            f"The workspace cannot be written: {error.strerror}.",
            where=str(error.filename or root),
            hint="fix the permissions of the folder, or choose another: pm init DIR",
        ) from error
    return workspace
