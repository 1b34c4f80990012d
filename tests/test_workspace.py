from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pm.errors import WorkspaceError
from pm.resources import config_dir
from pm.settings import load_settings
from pm.workspace import Workspace, find_workspace, init_workspace

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_workspace_has_every_settings_file_and_folder(tmp_path: Path) -> None:
    made = init_workspace(tmp_path / "deep" / "desk")
    assert made == Workspace((tmp_path / "deep" / "desk").resolve())
    assert {file.name for file in made.config.iterdir()} == {file.name for file in config_dir().glob("*.yml")}
    assert all((made.root / name / "README.md").is_file() for name in ("lake", "models", "sql"))
    assert load_settings(made.config) == load_settings()


def test_existing_files_are_not_changed(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "run.yml").write_text("jobs: 7\n")
    (tmp_path / "notes.txt").write_text("mine")
    made = init_workspace(tmp_path)
    (made.lake / "README.md").write_text("my words")
    init_workspace(tmp_path)
    assert load_settings(made.config).run.jobs == 7
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (made.lake / "README.md").read_text() == "my words"


def test_keys_stay_out_of_git_and_a_users_own_list_is_left(tmp_path: Path) -> None:
    made = init_workspace(tmp_path / "new")
    assert "/keys.yml" in (made.root / ".gitignore").read_text("utf-8").splitlines()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ".gitignore").write_text("*.tmp\n", encoding="utf-8")
    own = init_workspace(tmp_path / "own")
    assert (own.root / ".gitignore").read_text("utf-8") == "*.tmp\n"


def test_a_workspace_is_found_from_any_folder_inside_it(tmp_path: Path) -> None:
    made = init_workspace(tmp_path / "desk")
    inside = made.root / "a" / "b"
    inside.mkdir(parents=True)
    assert find_workspace(inside) == find_workspace(made.root) == made
    assert find_workspace(tmp_path) is None


def test_an_incomplete_workspace_is_not_recognised(tmp_path: Path) -> None:
    made = init_workspace(tmp_path)
    (made.config / "lake.yml").unlink()  # the last file written
    assert find_workspace(tmp_path) is None
    assert find_workspace(init_workspace(tmp_path).root) == made


def test_a_file_cannot_become_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="and this is a file"):
        init_workspace(tmp_path / "file")


@pytest.mark.posix
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    prefix: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("permissions do not bind root, and setpriv is missing: run as a user, or install util-linux")
        powers = "-dac_override,-dac_read_search"
        prefix = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"]
    tmp_path.chmod(0o555)
    program = (
        "import sys; from pathlib import Path; from pm.workspace import *; init_workspace(Path(sys.argv[1]) / 'w')"
    )
    done = subprocess.run(
        [*prefix, sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    tmp_path.chmod(0o755)
    assert "StorageError: The workspace cannot be written: Permission denied." in done.stderr
    assert list(tmp_path.iterdir()) == []
