"""End a command that writes when the user presses Ctrl-C, and say what is left in the lake."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pm.pipeline.events import Event, Observer

__all__ = ["interruptible"]


class _Interrupt:
    """Remembers whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self._pressed = False

    def handle(self, _signal: int, _frame: FrameType | None) -> None:
        self._pressed = True
        raise KeyboardInterrupt

    def wrap(self, observer: Observer) -> Observer:
        def observe(event: Event) -> None:
            # A library may swallow the exception; the run then ends at its next event.
            if self._pressed:
                raise KeyboardInterrupt
            observer(event)

        return observe


@contextmanager
def interruptible(message: str) -> Iterator[Callable[[Observer], Observer]]:
    """End the command with a message and exit code 130 when the user presses Ctrl-C.

    Parameters
    ----------
    message
        Sentence for the user about what is left in the lake.

    Yields
    ------
    A function that wraps an observer, so that a run ends at its next event even if a library swallowed the exception.
    """
    interrupt = _Interrupt()
    in_main_thread = threading.current_thread() is threading.main_thread()  # the only one that may set a handler
    before = signal.signal(signal.SIGINT, interrupt.handle) if in_main_thread else None
    try:
        yield interrupt.wrap
    except KeyboardInterrupt:
        typer.echo(message, err=True)
        raise typer.Exit(130) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
