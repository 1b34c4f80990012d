"""Offer to make tickers one that differ in their spelling only; they are never joined without the user."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pm.cli.visible import visible_line
from pm.plural import plural

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.pipeline import OtherSpelling

__all__ = ["print_other_spellings"]

_OFFERED = 3
"""Maximum number of tickers with a line of their own."""


def print_other_spellings(lake: Lake, run_id: str) -> None:
    """Print, for each imported ticker that differs from another in its spelling only, how to make the two one.

    Parameters
    ----------
    run_id
        The run that landed the files.
    """
    from pm.cli.render import print_lines
    from pm.pipeline import find_other_spellings

    found, count = find_other_spellings(lake, run_id, limit=_OFFERED)
    for pair in found:
        shares = (
            f"{pair.equal:,} of {pair.common:,} common closes are equal"
            if pair.common
            else "they have no date in common"
        )
        names = f"{visible_line(pair.imported)} may be {visible_line(pair.known)}"
        print_lines(f"{names}: {shares}. If it is: {_remedy(pair)}")
    if count > len(found):
        print_lines(f"… and {plural(count - len(found), 'more ticker')} that may be another spelling of a known one")


def _remedy(pair: OtherSpelling) -> str:
    """Return the command that imports a ticker's file under the known name, or what to do where there is none."""
    if pair.file is None:
        return f"spell it {visible_line(pair.known)} in the file, and import that again"
    current = Path.cwd()
    path = pair.file.relative_to(current) if pair.file.is_relative_to(current) else pair.file
    return f"pm import {_quoted(str(path))} --ticker {_quoted(pair.known)}"


def _quoted(word: str) -> str:
    """Return a word of a command line as the shells of this system read it, on one line."""
    from subprocess import list2cmdline  # only Windows needs it

    return visible_line(shlex.quote(word) if os.name == "posix" else list2cmdline([word]))
