"""Compile a loop over plain arrays to machine code, and keep it on disk for later processes."""

from __future__ import annotations

import hashlib
import inspect
import sys
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from numba import njit
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["compiled", "counting_compilations", "keeps_code", "uncompiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, compiled by numba at its first call; the machine code is kept on disk for later processes.

    The code is kept beside the module, in the user's cache where the package cannot be written to, and not at all where
    neither can be written to or the package is inside an archive: then every process compiles anew.

    A kept function is compiled again when any module of its package's folder changes, since its machine code contains
    that of the compiled functions it calls, and constants that it imports. Therefore a compiled function must not call
    one of another package, or use its constants.

    Division by zero gives an infinity or NaN, as in numpy, so that one series cannot stop a batch.
    """
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # there is no folder to keep the code in, or the modules are in an archive
        # What `njit(cache=True)` does with numba's own class.
        dispatcher._cache = _PackageCache(function)  # noqa: SLF001 - numba has no public way to choose the class
    result: Callable[P, R] = dispatcher
    return result


def uncompiled(package: str) -> list[str]:
    """Return the names of the compiled functions of a package that no process has compiled yet.

    That is the case after installing or updating, and in every process where no code can be kept. Only modules that are
    imported are searched.
    """
    return [
        f"{function.py_func.__module__}.{function.py_func.__qualname__}"
        for function in _functions(package)
        if not function.signatures and not _kept(function)
    ]


def keeps_code(package: str) -> bool:
    """Return whether the machine code of all compiled functions of a package is kept for later processes."""
    return all(isinstance(function._cache, _PackageCache) for function in _functions(package))  # noqa: SLF001 - as above


@contextmanager
def counting_compilations(package: str, on_compiled: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of a package's functions that this process has compiled, each time it has one."""
    names: set[str] = set()

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:  # noqa: ANN401
            pass

        def on_end(self, event: Any) -> None:  # noqa: ANN401
            function = event.data["dispatcher"].py_func
            if function.__module__.startswith(f"{package}."):  # numba also compiles functions of its own
                names.add(f"{function.__module__}.{function.__qualname__}")
                on_compiled(len(names))

    with event.install_listener("numba:compile", Listener()):
        yield


def _functions(package: str) -> list[Any]:
    """Return the compiled functions of a package's imported modules."""
    modules = sorted(name for name in sys.modules if name == package or name.startswith(f"{package}."))
    return [
        value
        for module in modules
        for value in vars(sys.modules[module]).values()
        if isinstance(value, Dispatcher) and value.py_func.__module__ == module
    ]


def _kept(function: Any) -> bool:  # noqa: ANN401 - numba has no types
    cache: Any = function._cache  # noqa: SLF001 - numba has no public way to ask
    return isinstance(cache, _PackageCache) and bool(cache._cache_file._load_index())  # type: ignore[no-untyped-call] # noqa: SLF001


class _PackageCache(FunctionCache):
    """Numba's cache of a function, with a stamp of all modules of the function's package and not of its own file only.

    Numba discards what was kept under another stamp.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call] # numba has no types
        folder = Path(inspect.getfile(function)).resolve().parent
        if not folder.is_dir():
            raise RuntimeError(f"{folder} is not a folder, so that changes of its modules could not be noticed.")
        stamp = self._impl.locator.get_source_stamp(), _digest(folder)
        name = self._impl.filename_base
        self._cache_file = IndexDataCacheFile(self._cache_path, name, stamp)  # type: ignore[no-untyped-call]


@cache
def _digest(folder: Path) -> str:
    """Return a digest of the names and contents of the modules in a folder."""
    digest = hashlib.sha256()
    for module in sorted(folder.glob("*.py")):
        source = module.read_bytes()
        digest.update(f"{module.name} {len(source)} ".encode())
        digest.update(source)
    return digest.hexdigest()
