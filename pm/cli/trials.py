"""`pm trials`: list the trials, show what one proves, and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app", "print_trial"]

app = typer.Typer(help="List the backtests ever run, what each proves, and compare them.")


def print_trial(lake: Lake, trial_id: str) -> None:
    """Print what a trial made and what it proves."""
    from pm.cli.render import print_lines

    print_lines(trial_id, str(lake.query("FROM trials").tail(1).to_dicts()))
