"""Compile functions to machine code before the workers need them, and say so: it takes long, once per installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.pipeline.stage import Context

__all__ = ["compile_ahead"]


def compile_ahead(context: Context, package: str, warm_up: Callable[[], object]) -> None:
    """Compile what a package compiles, if no process has done so yet, and report the progress.

    Workers then read the machine code from disk, and do not each compile it.

    Parameters
    ----------
    package
        Package whose functions are compiled; its modules must be imported.
    warm_up
        Calls every compiled function of the package.
    """
    from pm.compiled import counting_compilations, keeps_code, uncompiled

    missing = uncompiled(package)
    if not missing:
        return
    what = f"{context.stage.name}: compiling {plural(len(missing), 'function')} to machine code"
    if not keeps_code(package):
        context.notify(f"{what}, which can take a minute in every run, since there is no folder to keep the code in")
        return
    context.notify(f"{what}, once for this installation; it can take a minute")
    total = len(missing)
    context.progress(0, total)
    with counting_compilations(package, lambda done: context.progress(min(done, total), total)):
        warm_up()
