"""The example notebooks run, and are stored without what they showed to somebody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pm as package

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[Any]]

FOLDER = Path(package.__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:  # noqa: ANN401 - nbformat's node
    nbformat = pytest.importorskip("nbformat", reason="not installed: pip install -e '.[dev]'")
    return nbformat.read(path, nbformat.current_nbformat)


@pytest.fixture(scope="module")
def evaluated(finished: Path, build_once: Build, pm: Pm) -> Path:
    """Return a workspace that has had a run and an evaluation. Only read it."""

    def build(folder: Path) -> None:
        shutil.copytree(finished, folder, dirs_exist_ok=True)
        done = pm(folder, "evaluate", "--source", "sample", "--origins", "2", "--horizon", "5")
        assert done.returncode == 0, done.stderr

    return build_once("evaluated", build)


def test_there_are_notebooks_and_the_page_about_python_names_each() -> None:
    page = FOLDER.with_name("python.md").read_text("utf-8")
    assert len(NOTEBOOKS) == 3
    assert all(f"(notebooks/{path.name})" in page for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = read(path)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert (cell.get("outputs", []), cell.get("execution_count")) == ([], None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_runs_and_every_table_has_rows(
    path: Path, evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="not installed: pip install -e '.[dev]'")
    pytest.importorskip("ipykernel", reason="not installed: pip install -e '.[dev]'")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))  # the package of this checkout, whichever is installed
    notebook = read(path)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(evaluated)}}).execute()
    last = notebook.cells[-1]
    assert (last.source, last.execution_count is not None) == ("lake.close()", True)
    shown = [output.data["text/plain"] for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [text for text in shown if text.startswith("shape: (")]
    assert len(tables) > 4
    # Without an account there are neither positions nor days of its equity.
    assert sum(text.startswith("shape: (0,") for text in tables) == (2 if path.stem == "portfolio_and_risk" else 0)
