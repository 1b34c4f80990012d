"""Compile a loop over plain arrays to machine code, once a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Give the function compiled at its first call; what was compiled is kept on disk for later processes.

    It lies beside the module, or in the user's cache where the package cannot be written to; where neither can be,
    every process compiles anew. A kept function is renewed when its own file changes, and only then: compiled
    functions that call one another share a file.

    Division by zero gives an infinity or NaN, as in numpy, so that one series cannot stop a batch.
    """
    try:
        kept: Callable[P, R] = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # "no locator available": no folder to keep it in
        kept = njit(nogil=True, error_model="numpy")(function)
    return kept
