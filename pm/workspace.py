"""Create and find workspaces. A workspace is a folder with a user's settings, lake, views, models, reports and logs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import StorageError, WorkspaceError
from pm.resources import config_dir
from pm.windows_paths import long_paths_enabled, windows_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Workspace", "absolute", "find_workspace", "init_workspace", "require_folder"]

_MARK = Path("config") / "lake.yml"
"""The file by which a folder is recognised as a workspace."""
_DEEPEST = 100
"""Maximum number of characters of the path of a file below the workspace: a data file of the lake."""

_READMES = {
    "lake": (
        "The lake: `catalog.sqlite` (the DuckLake catalog) and `data/` (Parquet), written by `pm`.\n"
        "Read it with `pm sql`, or from any DuckDB. Do not edit files here by hand.\n"
    ),
    "models": (
        "Language models (GGUF): put them here, or `pm models add PATH`; `pm models list` shows them.\n"
        "`pm` makes the default one, and models.json with what it knows of each. Both can be deleted.\n"
    ),
    "sql": (
        "Put your own views here: files `NN_name.sql` with one SELECT each. They are created after the built-in ones.\n"
        "The comment lines at the top become the view's comment; `-- column: text` describes a column.\n"
    ),
}
_IGNORED = """\
# Written by `pm init`, in case that you keep this folder in git: your keys, and data that pm makes.
/keys.yml
/lake/*
!/lake/README.md
/models/*
!/models/README.md
/reports/
/logs/
"""


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
    def kept(self) -> Path:
        """What a command had computed when it was interrupted: empty but after that."""
        return self.lake / "kept"

    @property
    def vendors(self) -> Path:
        """What was asked of each vendor today, in a folder for each; it can be deleted."""
        return self.lake / "vendors"

    @property
    def views(self) -> Path:
        """Folder of the user's own views."""
        return self.root / "sql"

    @property
    def models(self) -> Path:
        """Folder of language models, and of what is known of them."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """Folder of the reports, one HTML file per run, and `latest.html`."""
        return self.root / "reports"

    @property
    def logs(self) -> Path:
        """Folder of what scheduled nights printed, and of the record of the last one."""
        return self.root / "logs"


def absolute(folder: Path) -> Path:
    """Return the path of a folder from the root of the file system, without links; the folder need not exist.

    Raises
    ------
    WorkspaceError
        The current folder was deleted, or links form a circle.
    """
    try:
        return folder.resolve()
    except FileNotFoundError:
        raise WorkspaceError(
            "The current folder no longer exists.",
            where="the shell's current folder",
            hint="change to another folder, or name one by its whole path",
        ) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before Python 3.13
        problem = getattr(error, "strerror", None) or "it is a circle of links"
        raise WorkspaceError(
            f"The folder cannot be found: {problem}.", where=str(folder), hint="name another folder"
        ) from None


def find_workspace(start: Path, *, parents: bool = True) -> Workspace | None:
    """Return the workspace that a folder is, or is inside of; None if there is none.

    Parameters
    ----------
    start
        An absolute path; see `absolute`.
    parents
        Whether a workspace that contains the folder counts.

    Raises
    ------
    WorkspaceError
        The path of the workspace has a character that the lake cannot have in it.
    StorageError
        There is no permission to look into the folder.
    """
    for folder in (start, *(start.parents if parents else ())):
        try:
            os.lstat(folder / _MARK)  # a link to nothing is found too, and then refused as a settings file
        except PermissionError as error:
            if folder == start:
                closed = folder if not os.access(folder, os.X_OK) else folder / _MARK.parent
                raise StorageError(
                    f"The folder cannot be read: {error.strerror}.", where=str(closed), hint="correct its permissions"
                ) from None
        except (OSError, ValueError):  # not there, or a path that cannot be
            continue
        else:
            _refuse_unusable(folder)
            return Workspace(folder)
    return None


def _refuse_unusable(root: Path) -> None:
    """Refuse a folder in which DuckLake could not make a lake."""
    problem = None
    try:
        str(root).encode()
    except UnicodeEncodeError:
        problem = "a character that is not UTF-8"
    else:
        if os.name == "nt":
            problem = windows_problem(str(root), below=_DEEPEST, long_paths=long_paths_enabled())
        elif "\\" in str(root):
            problem = "a backslash, which DuckLake takes for the separator of folders"
    if problem is None:
        return
    raise WorkspaceError(
        f"The path of the workspace has {problem}.",
        where=str(root),
        hint="rename the folder, or choose another: --workspace DIR",
    )


def require_folder(root: Path) -> None:
    """Check that a folder in which a workspace is to be made exists: a mistyped name must not make one.

    Raises
    ------
    WorkspaceError
        There is no such folder, or its path has a character that the lake cannot have in it.
    """
    _refuse_unusable(root)
    if not os.path.exists(root):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise WorkspaceError(
            "There is no such folder.", where=str(root), hint="check its name, or make a workspace there: pm init DIR"
        )


def init_workspace(root: Path, values: Mapping[str, Mapping[str, str]] | None = None) -> Workspace:
    """Create a workspace in a folder, and return it. Files that exist already are not changed.

    Parameters
    ----------
    values
        Texts that settings of the new workspace have in place of the defaults: section to key to text.

    Raises
    ------
    WorkspaceError
        The path is a file, or has a character that the lake cannot have in it; or the current folder was deleted; or
        there is a settings file already that has other values.
    StorageError
        The folder cannot be written.
    """
    root = absolute(root)
    _refuse_unusable(root)
    try:
        if root.exists() and not root.is_dir():
            raise WorkspaceError(
                "A workspace must be a folder, and this is a file.", where=str(root), hint="name a folder"
            )
        workspace = Workspace(root)
        workspace.config.mkdir(parents=True, exist_ok=True)
        for name, text in _READMES.items():
            readme = workspace.root / name / "README.md"
            readme.parent.mkdir(exist_ok=True)
            if not readme.exists():
                readme.write_text(text, encoding="utf-8")
        ignored = workspace.root / ".gitignore"
        if not ignored.exists():
            ignored.write_text(_IGNORED, encoding="utf-8")
        # The file by which a workspace is recognised is written last, so that an incomplete one is not recognised.
        for file in sorted(config_dir().glob("*.yml"), key=lambda file: file.name == _MARK.name):
            target = workspace.config / file.name
            text = _with_values(file.read_text(encoding="utf-8"), (values or {}).get(file.stem, {}))
            if not target.exists():
                target.write_text(text, encoding="utf-8")
            elif file.stem in (values or {}):
                _refuse_other_values(target, (values or {})[file.stem])
    except OSError as error:
        raise StorageError(
            f"The workspace cannot be written: {error.strerror}.",
            where=str(error.filename or root),
            hint="correct the permissions of the folder, or choose another: pm init DIR",
        ) from error
    return workspace


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """Return the text of a settings file with other texts for some of its keys."""
    for key, value in values.items():
        text = re.sub(rf"^{key}:.*$", lambda _: _line_of(key, value), text, flags=re.MULTILINE)  # noqa: B023 - used at once
    return text


def _line_of(key: str, value: str) -> str:
    return f"{key}: {json.dumps(value)}"


def _refuse_other_values(file: Path, values: Mapping[str, str]) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    if any(_line_of(key, value) not in lines for key, value in values.items()):
        raise WorkspaceError(
            "The workspace is there already, and its settings are others.",
            where=str(file),
            hint=f"change {' and '.join(values)} in this file, or make a workspace in another folder",
        )
