"""`pm warm`: compile beforehand what the first run would compile."""

from __future__ import annotations

import time

from pm.errors import PmError

__all__ = ["warm"]


def warm() -> None:
    """Compile the numerical kernels to machine code, so that the first run need not.

    The code is kept for this installation and processor. After an update, only what has changed is compiled again.
    """
    from pm.cli.progress import bar_shown
    from pm.cli.render import print_lines
    from pm.kernels import compile_packages, kernels_kept, kernels_to_compile
    from pm.plural import plural

    missing = kernels_to_compile()
    if not kernels_kept():
        raise PmError(
            "Compiled code cannot be kept, so that every run compiles anew.",
            where="the folder of the package, and the user's cache",
            hint="make one of them writable, or set NUMBA_CACHE_DIR to a folder that is",
        )
    total = sum(missing.values())
    if not total:
        print_lines("All kernels are compiled.")
        return
    begun = time.monotonic()
    with bar_shown("compiling kernels, once", total) as advance:
        problems = compile_packages(list(missing), advance)
    if problems:
        raise PmError(
            f"Some kernels could not be compiled: {'; '.join(problems)}",
            where="pm warm",
            hint="runs compile them when they need them; if they fail too, reinstall the package",
        )
    print_lines(f"Compiled {plural(total, 'kernel')} in {time.monotonic() - begun:.0f} s.")
