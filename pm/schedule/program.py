"""The words that start this `pm` again, from any folder and without the user's environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pm

__all__ = ["missing_part", "own_program"]

_SCRIPT = "cli.py"


def own_program() -> tuple[str, ...]:
    """Return the absolute path of this Python, and the words that make it run this `pm`.

    In a checkout, that is its script cli.py. Otherwise `-m pm`, with `-P` so that no folder named `pm` in the current
    folder takes its place.
    """
    checkout = Path(pm.__file__).resolve().parents[1]
    if (checkout / _SCRIPT).is_file() and (checkout / "pyproject.toml").is_file():
        return sys.executable, str(checkout / _SCRIPT)
    return sys.executable, "-P", "-m", "pm"


def missing_part(program: tuple[str, ...]) -> str | None:
    """Return the first file that a program's words name and that does not exist; None if there is none.

    A path with `?` is not looked for: `schtasks` prints that for characters that its code page lacks.
    """
    for word in program:
        path = Path(word)
        if path.is_absolute() and "?" not in word and not path.exists():
            return word
    return None
