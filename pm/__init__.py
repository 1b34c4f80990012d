"""Portfolio Maximizer: from daily bars to forecasts, signals and a report, traceable by SQL.

For programs: `pm.open` gives what a workspace's lake holds as polars frames, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pm.reader import Reader

__all__ = ["__version__", "open"]

__version__ = "0.1.0"


def open(workspace: str | Path | None = None) -> Reader:  # noqa: A001 - read as pm.open
    """Open a workspace for reading.

    Parameters
    ----------
    workspace
        Folder of the workspace; by default the current folder or the nearest parent that is one.

    Raises
    ------
    WorkspaceError
        There is no workspace.
    LakeError
        It has no lake yet, or the lake is damaged.

    Examples
    --------
    >>> import pm
    >>> with pm.open() as lake:
    ...     print(lake.bars(["IBM"], "2013-02-28", adjusted=False).select("date", "close"))
    shape: (2, 2)
    ┌────────────┬────────┐
    │ date       ┆ close  │
    │ ---        ┆ ---    │
    │ date       ┆ f64    │
    ╞════════════╪════════╡
    │ 2013-02-28 ┆ 200.83 │
    │ 2013-03-01 ┆ 202.91 │
    └────────────┴────────┘
    """
    from pm.reader import Reader

    return Reader(workspace)
