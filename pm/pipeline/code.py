"""The code that a stage depends on: the modules that it imports, directly or through others.

Found by reading the source files, not by running them. Comments, docstrings and imports that only type checkers see do
not count. A package whose `__init__` only re-exports names is looked through: who imports a name from it depends on the
module that defines the name. Declarations of tables (`pm.tables`) are left out: a stage depends on the tables that it
declares, by their columns and keys, not by their comments.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Closure", "CodeReader", "library_versions"]

_PACKAGE = "pm"
_LEFT_OUT = f"{_PACKAGE}.tables"
_FORMAT = f"1 {sys.version_info.major}.{sys.version_info.minor}"
"""Version of what the cache file holds; a syntax tree is written differently by another Python."""


@dataclass(frozen=True)
class Closure:
    """The code that a module depends on.

    Attributes
    ----------
    modules
        Digest of each module of this project by its name, the module itself among them.
    files
        Digest of each further file (a template, a stylesheet) beside those modules, by its path in the project.
    packages
        Names under which other packages are imported, Python's own library left out.
    """

    modules: dict[str, str]
    files: dict[str, str]
    packages: frozenset[str]

    @property
    def digest(self) -> str:
        """Hash of modules and files."""
        return _hash(json.dumps([self.modules, self.files], sort_keys=True).encode())


@dataclass(frozen=True)
class _Source:
    """What a source file says.

    Attributes
    ----------
    digest
        Hash of its code.
    imports
        Pairs of a module and a name imported from it; the name is None for `import module`.
    reexports
        For a package that only re-exports, the module each name comes from; None for any other file.
    """

    digest: str
    imports: list[tuple[str, str | None]]
    reexports: dict[str, str] | None


class CodeReader:
    """Reads the source files of the package.

    Parameters
    ----------
    root
        Folder of the package.
    cache
        File that keeps what was read, by the size and time of each source file; None to keep nothing. To read all
        files takes half a second, which a run that finds nothing new need not wait for.
    """

    def __init__(self, root: Path, *, cache: Path | None = None) -> None:
        self._root = root
        self._cache = cache
        self._known: dict[str, Any] = _load(cache) if cache is not None else {}
        self._sources: dict[str, _Source] = {}
        self._closures: dict[str, Closure] = {}
        self._changed = False

    def closure(self, module: str, file: Path | None = None) -> Closure:
        """Return the code that a module depends on.

        Parameters
        ----------
        module
            Name of the module.
        file
            Its source file, for a module outside of the package, such as a stage of the user's own.
        """
        if file is not None:
            self._sources[module] = _parse(file, _stamp(file))
        if module not in self._closures:
            self._closures[module] = self._closure(module)
            self._save()
        return self._closures[module]

    def _closure(self, module: str) -> Closure:
        found: dict[str, str] = {}
        packages: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in found or name == _LEFT_OUT or name.startswith(f"{_LEFT_OUT}."):
                continue
            source = self._source(name)
            found[name] = source.digest
            for imported, attribute in source.imports:
                top = imported.partition(".")[0]
                if top == _PACKAGE:
                    waiting += self._modules(imported, attribute)
                elif top not in sys.stdlib_module_names:
                    packages.add(top)
        return Closure(dict(sorted(found.items())), self._files(found), frozenset(packages))

    def _modules(self, imported: str, attribute: str | None) -> Iterator[str]:
        """Return the modules that an import runs, but for packages that only re-export."""
        parents = imported.split(".")
        for length in range(1, len(parents)):
            parent = ".".join(parents[:length])
            if self._source(parent).reexports is None:
                yield parent
        if attribute is not None and self._path(f"{imported}.{attribute}") is not None:
            yield from self._modules(f"{imported}.{attribute}", None)
            return
        reexports = self._source(imported).reexports
        if reexports is None:
            yield imported
        elif attribute is None or attribute not in reexports:
            for origin in set(reexports.values()):
                yield from self._modules(origin, None)
        else:
            yield from self._modules(reexports[attribute], attribute)

    def _path(self, module: str) -> Path | None:
        parts = module.split(".")[1:]
        package, file = self._root.joinpath(*parts, "__init__.py"), self._root.joinpath(*parts).with_suffix(".py")
        return package if package.is_file() else file if parts and file.is_file() else None

    def _source(self, module: str) -> _Source:
        if module not in self._sources:
            path = self._path(module)
            if path is None:
                raise ModuleNotFoundError(f"{module} is imported, and there is no such module in {self._root}")
            self._sources[module] = self._read(path)
        return self._sources[module]

    def _read(self, path: Path) -> _Source:
        name = path.relative_to(self._root).as_posix()
        stamp = _stamp(path)
        kept = self._known.get(name)
        if kept is not None and tuple(kept[0]) == stamp:
            return _Source(kept[1], [(module, attribute) for module, attribute in kept[2]], kept[3])
        source = _parse(path, stamp)
        self._known[name] = [stamp, source.digest, source.imports, source.reexports]
        self._changed = True
        return source

    def _files(self, modules: Iterable[str]) -> dict[str, str]:
        folders = {path.parent for module in modules if (path := self._path(module)) is not None}
        files = {file for folder in folders for file in folder.iterdir() if file.is_file() and not _is_python(file)}
        return {
            file.relative_to(self._root).as_posix(): _hash(file.read_bytes())
            for file in sorted(files)
            if file.name != "py.typed"
        }

    def _save(self) -> None:
        if self._cache is None or not self._changed:
            return
        try:
            draft = self._cache.with_suffix(".part")
            draft.write_text(json.dumps({"format": _FORMAT, "files": self._known}), encoding="utf-8")
            draft.replace(self._cache)
        except OSError:  # it only saves time
            return
        self._changed = False


@cache
def library_versions(packages: frozenset[str]) -> dict[str, str]:
    """Return the versions of the distributions that packages come from, and of those that these require.

    Parameters
    ----------
    packages
        Names under which packages are imported. One that is not installed (an optional engine) is left out.
    """
    names = {name for package in packages for name in _distributions(package)}
    wanted = names | {required for name in names for required in _requirements(name)}
    found = {}
    for name in sorted(wanted):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # optional, or for another system
            continue
    return found


def _distributions(package: str) -> list[str]:
    try:
        version(package)
    except PackageNotFoundError:
        return packages_distributions().get(package, [])
    return [package]


def _requirements(name: str) -> Iterator[str]:
    """Return the distributions that one requires, extras left out."""
    try:
        listed = requires(name) or []
    except PackageNotFoundError:
        return
    for line in listed:
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:
            yield re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def _stamp(path: Path) -> tuple[int, int]:
    """Return a file's size and time of change, which tell whether it is still what was read."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@cache
def _parse(path: Path, _: tuple[int, int]) -> _Source:
    """Return what a source file says; `_` is its stamp, so that a file that has changed is read again."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    tree = _WithoutWords().visit(tree)
    imports: list[tuple[str, str | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            imports += [(node.module, alias.name) for alias in node.names]
    return _Source(_hash(ast.dump(tree).encode()), imports, _reexports(tree) if path.name == "__init__.py" else None)


def _reexports(tree: ast.Module) -> dict[str, str] | None:
    """Return where each name of a package comes from, or None if the package does more than import names."""
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: node.module for alias in node.names}
        elif not (
            isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
        ):
            return None
    names.pop("annotations", None)
    return names


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, `__all__`, and what only type checkers see."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a text that stands alone."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        """Remove `if TYPE_CHECKING:`."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse]
        return self.generic_visit(node)


def _is_python(file: Path) -> bool:
    return file.suffix in {".py", ".pyc", ".pyi"}


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _load(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return dict(kept["files"]) if kept["format"] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged: it is written anew
        return {}
