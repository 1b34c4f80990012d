"""Ctrl-C: end a command that writes with a sentence about what it leaves."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pm.pipeline.events import Event, Observer

__all__ = ["interruptible"]


class _Interrupt:
    """Hears Ctrl-C, and remembers it."""

    def __init__(self) -> None:
        self._heard = False

    def hear(self, _signal: int, _frame: FrameType | None) -> None:
        self._heard = True
        raise KeyboardInterrupt

    def heeding(self, observer: Observer) -> Observer:
        def observe(event: Event) -> None:
            # A library may swallow the exception; the run then ends at its next event.
            if self._heard:
                raise KeyboardInterrupt
            observer(event)

        return observe


@contextmanager
def interruptible(said: str) -> Iterator[Callable[[Observer], Observer]]:
    """When Ctrl-C comes, say what it leaves and leave with exit code 130; gives what makes an observer heed it."""
    interrupt = _Interrupt()
    before = signal.signal(signal.SIGINT, interrupt.hear)
    try:
        yield interrupt.heeding
    except KeyboardInterrupt:
        typer.echo(said, err=True)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGINT, before)
