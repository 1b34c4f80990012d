"""Compile the loops of all packages to machine code at once, in a process for each package.

`python -m pm.kernels PACKAGE` compiles those of one package.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PACKAGES", "compile_packages", "kernels_kept", "kernels_to_compile"]

PACKAGES = ("pm.volatility", "pm.forecast", "pm.risk", "pm.validation")
"""Packages with compiled functions. Function `warm_up` of a package's module `warm_up` calls all of them."""

_PAUSE = 0.5
"""Seconds between two looks at how many functions are compiled."""


def kernels_to_compile(packages: Sequence[str] = PACKAGES) -> dict[str, int]:
    """Return the number of functions that no process has compiled yet, of each package that has any."""
    from pm.compiled import uncompiled

    for package in packages:
        import_module(f"{package}.warm_up")
    return {package: len(names) for package in packages if (names := uncompiled(package))}


def kernels_kept(packages: Sequence[str] = PACKAGES) -> bool:
    """Return whether the machine code of all compiled functions can be kept for later processes."""
    from pm.compiled import keeps_code

    for package in packages:
        import_module(f"{package}.warm_up")
    return all(keeps_code(package) for package in packages)


def compile_packages(packages: Sequence[str], on_compiled: Callable[[int], None]) -> list[str]:
    """Compile the functions of some packages, each package in a process of its own, and wait for them.

    Parameters
    ----------
    packages
        Some of PACKAGES.
    on_compiled
        Called with the number of functions that have been compiled, whenever it has changed.

    Returns
    -------
    What went wrong, a line for each package that could not be compiled. Its functions are compiled when they are
    called, as they would be without this.
    """
    command = [sys.executable, "-m", "pm.kernels"]
    processes = {
        package: subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            [*command, package], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for package in packages
    }
    total, done = sum(kernels_to_compile(packages).values()), 0
    try:
        while any(process.poll() is None for process in processes.values()):
            compiled = total - sum(kernels_to_compile(packages).values())
            if compiled > done:
                done = compiled
                on_compiled(done)
            time.sleep(_PAUSE)
    finally:
        for process in processes.values():
            process.kill()  # does nothing to one that has ended
    problems = []
    for package, process in processes.items():
        _, errors = process.communicate()
        if process.returncode:
            last = errors.strip().splitlines()[-1:] or [f"it ended with code {process.returncode}"]
            problems.append(f"{package}: {last[0]}")
    on_compiled(total - sum(kernels_to_compile(packages).values()))
    return problems


if __name__ == "__main__":
    import_module(f"{sys.argv[1]}.warm_up").warm_up()
