"""Compile functions to machine code before the workers need them, and say so: it takes long, once per installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.kernels import PACKAGES, compile_packages, kernels_kept, kernels_to_compile
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.stage import Context

__all__ = ["compile_ahead"]


def compile_ahead(context: Context, package: str, packages: Sequence[str] = PACKAGES) -> None:
    """Compile what all packages compile, if no process has done so for one of them, and report the progress.

    Workers then read the machine code from disk, and do not each compile it. The other packages are compiled at the
    same time, since later stages need them.

    Parameters
    ----------
    package
        Package whose functions the stage needs.
    packages
        All packages.
    """
    if not kernels_to_compile([package]):
        return
    if not kernels_kept([package]):
        context.notify(
            f"{context.stage.name}: its kernels are compiled to machine code in every run, which can take a minute, "
            "since there is no folder to keep the code in"
        )
        return
    missing = kernels_to_compile(packages)
    total = sum(missing.values())
    context.notify(
        f"{context.stage.name}: compiling {plural(total, 'kernel')} to machine code, once for this installation "
        "(`pm warm` does it beforehand)"
    )
    context.progress(0, total)
    for problem in compile_packages(list(missing), lambda done: context.progress(min(done, total), total)):
        context.notify(f"{context.stage.name}: {problem}; the kernels are compiled when they are needed")
