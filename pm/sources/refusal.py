"""Refuse files: turn any error about a file into one message, and the errors of several files into one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pm.errors import InputError, PmError
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["quoted", "refusal_of", "refusing", "words_of"]

_SHOWN = 60
"""Maximum number of characters of a cell in a message."""
_LONGEST_WORDS = 200
"""Maximum number of characters of a library's error in a message."""
_PANIC = "PanicException"
"""Name of the exception that a failed assertion in polars raises; its class is not an `Exception`."""
_INDENT = "\n         "
"""Start of a further line of the second part of a message."""


def quoted(value: object) -> str:
    """Return a value of a file in quotes for a message, cut to 60 characters.

    Examples
    --------
    >>> quoted("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' (100 characters)"
    """
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN] + '…'!r} ({len(value):,} characters)"
    return repr(value)


def words_of(error: BaseException) -> str:
    r"""Return what an error of a library says, for the end of a sentence: its first line, cut to 200 characters.

    Examples
    --------
    >>> words_of(OSError("Invalid data.\nat byte 7"))
    'Invalid data'
    """
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (line[:_LONGEST_WORDS] + "…" if len(line) > _LONGEST_WORDS else line).rstrip(" .:")


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Raise an unforeseen error of a library, a panic of polars among them, as an InputError about a file.

    Parameters
    ----------
    where
        The file.
    """
    try:
        yield
    except PmError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise  # Ctrl-C, and the end of a generator
        raise InputError(
            f"The file cannot be read: {type(error).__name__}: {words_of(error)}.",
            where=where,
            hint="save it again with the program that wrote it, or convert it to CSV",
        ) from error


def refusal_of(errors: Sequence[InputError], *, files: int, others_landed: bool) -> InputError:
    """Return one error for the files that were refused: that of the file, or one that lists all of them.

    Parameters
    ----------
    errors
        An error for each file that was refused; at least one.
    files
        Number of files of the import.
    others_landed
        Whether the other files were imported.
    """
    others = files - len(errors)
    outcome = "nothing was imported"
    if others_landed:
        outcome = f"{plural(others, 'other file')} {'was' if others == 1 else 'were'} imported"
    remedy = ""
    if others > 0 and not others_landed:
        remedy = f"to import {'the other file' if others == 1 else f'the other {others:,} files'} only: --keep-going"
    if len(errors) == 1:
        error = InputError(
            errors[0].what, where=errors[0].where, hint="; ".join(part for part in (errors[0].hint, remedy) if part)
        )
        if files > 1:
            error.add_note(f"Of {files:,} files 1 cannot be imported; {outcome}.")
        error.__cause__ = errors[0]
        return error
    lines = [f"{error.where}: {error.what.rstrip('.')} ({error.hint})" for error in errors]
    return InputError(
        f"Of {files:,} files {len(errors):,} cannot be imported; {outcome}.",
        where=_INDENT.join(lines),
        hint="correct these files, or leave them out" + (f"; {remedy}" if remedy else ""),
    )
