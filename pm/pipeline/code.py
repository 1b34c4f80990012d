"""The code that a stage depends on: the modules that it imports, directly or through others.

Found by reading the source files, not by running them. Comments, docstrings and imports that only type checkers see do
not count. A package whose `__init__` only re-exports names is looked through: who imports a name from it depends on the
module that defines the name.

Three kinds of modules are left out, since no result depends on them: the package itself, which holds the version; the
error messages; and the declarations of tables, because a stage depends on the tables that it declares by their columns
and keys, not by their comments.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Closure", "CodeReader"]

_PACKAGE = "pm"
_INIT = "__init__.py"
_TABLES = f"{_PACKAGE}.tables"
_COMPUTED_WITH = frozenset({f"{_TABLES}.declaration", f"{_TABLES}.quantiles", f"{_TABLES}.vocabulary"})
"""Modules beside the declarations of tables that are no declarations."""
_RESOURCES = frozenset({".css", ".csv", ".j2", ".js"})
"""Suffixes of the files beside the modules that are read at run time."""
_FORMAT = f"4 {sys.version_info.major}.{sys.version_info.minor}"
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

    @property
    def others(self) -> set[str]:
        """Modules of other packages that it imports."""
        return {module for module, _ in self.imports if module.partition(".")[0] != _PACKAGE}


class CodeReader:
    """Reads the source files of the package.

    Parameters
    ----------
    root
        Folder of the package.
    cache
        File that keeps what was read, by the hash of each source file; None to keep nothing. To parse all files takes
        half a second, which a run that finds nothing new need not wait for.
    """

    def __init__(self, root: Path, *, cache: Path | None = None) -> None:
        self._root = root
        self._cache = cache
        self._known: dict[str, Any] = _load(cache) if cache is not None else {}
        self._sources: dict[str, _Source] = {}
        self._closures: dict[str, Closure] = {}
        self._outside: dict[str, Path] = {}
        self._paths = _modules_in(root)
        self._needed: dict[str, frozenset[str]] = {}
        self._resources: dict[str, dict[str, str]] = {}
        self._changed = False

    def closure(self, module: str, file: Path | None = None) -> Closure:
        """Return the code that a module depends on.

        Parameters
        ----------
        module
            Name of the module.
        file
            Its source file, for a module outside of the package, such as a stage of the user's own. The modules beside
            it that it imports belong to its code.
        """
        if file is not None:
            self._outside[module] = file
        if module not in self._closures:
            self._closures[module] = self._closure(module, file.parent if file is not None else None)
            self._save()
        return self._closures[module]

    def _closure(self, module: str, folder: Path | None) -> Closure:
        found: dict[str, str] = {}
        packages: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in found or _is_left_out(name):
                continue
            source = self._source(name)
            found[name] = source.digest
            waiting += self._needed_by(name, source)
            for imported in source.others:
                top = imported.partition(".")[0]
                if folder is not None and (beside := _beside(folder, imported)):
                    self._outside |= beside
                    waiting += beside
                elif top not in sys.stdlib_module_names:
                    packages.add(top)
        return Closure(dict(sorted(found.items())), self._files(found), frozenset(packages))

    def _needed_by(self, name: str, source: _Source) -> frozenset[str]:
        """Return the modules of the package that a module's imports run, but for packages that only re-export."""
        if name not in self._needed:
            self._needed[name] = frozenset(
                module
                for imported, attribute in source.imports
                if imported.partition(".")[0] == _PACKAGE
                for module in self._modules(imported, attribute)
            )
        return self._needed[name]

    def _modules(self, imported: str, attribute: str | None) -> Iterator[str]:
        parents = imported.split(".")
        for length in range(1, len(parents)):
            parent = ".".join(parents[:length])
            if self._source(parent).reexports is None:
                yield parent
        if attribute is not None and f"{imported}.{attribute}" in self._paths:
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

    def _source(self, module: str) -> _Source:
        if module not in self._sources:
            path = self._outside.get(module) or self._paths.get(module)
            if path is None:
                raise ModuleNotFoundError(f"{module} is imported, and there is no such module in {self._root}")
            self._sources[module] = self._read(module if module in self._paths else str(path), path)
        return self._sources[module]

    def _read(self, name: str, path: Path) -> _Source:
        """Return what a source file says, which is kept under a name."""
        content = path.read_bytes()
        stamp = _hash(content)
        kept = self._known.get(name)
        if kept is not None and kept[0] == stamp:
            return _Source(kept[1], [(module, attribute) for module, attribute in kept[2]], kept[3])
        source = _parse(content, is_package=path.name == _INIT)
        self._known[name] = [stamp, source.digest, source.imports, source.reexports]
        self._changed = True
        return source

    def _files(self, modules: Iterable[str]) -> dict[str, str]:
        folders = {path.parent for module in modules if (path := self._paths.get(module)) is not None}
        return dict(sorted(pair for folder in folders for pair in self._files_in(folder).items()))

    def _files_in(self, folder: Path) -> dict[str, str]:
        """Return the digests of the files beside the modules of a folder, by their paths in the project."""
        name = folder.relative_to(self._root).as_posix()
        if name not in self._resources:
            self._resources[name] = {
                # Line endings are the checkout's, not the code's.
                file.relative_to(self._root).as_posix(): _hash(file.read_bytes().replace(b"\r\n", b"\n"))
                for file in folder.iterdir()
                if file.suffix in _RESOURCES
            }
        return self._resources[name]

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


def _modules_in(root: Path) -> dict[str, Path]:
    """Return the source file of each module of the package whose folder is `root`, by the module's name."""
    found: dict[str, Path] = {}
    for folder, _, names in os.walk(root):
        parts = [_PACKAGE, *Path(folder).relative_to(root).parts]
        for name in names:
            if name == _INIT:
                found[".".join(parts)] = Path(folder, name)
            elif name.endswith(".py"):
                found.setdefault(".".join([*parts, name.removesuffix(".py")]), Path(folder, name))
    return found


def _is_left_out(module: str) -> bool:
    declares_tables = module == _TABLES or module.startswith(f"{_TABLES}.")
    return module in {_PACKAGE, f"{_PACKAGE}.errors"} or (declares_tables and module not in _COMPUTED_WITH)


def _beside(folder: Path, imported: str) -> dict[str, Path]:
    """Return the modules of a folder that an import runs, by name."""
    found: dict[str, Path] = {}
    parts = imported.split(".")
    for length in range(1, len(parts) + 1):
        path = folder.joinpath(*parts[:length])
        source = next((each for each in (path / _INIT, path.with_suffix(".py")) if each.is_file()), None)
        if source is not None:
            found[".".join(parts[:length])] = source
    return found


@cache
def _parse(content: bytes, *, is_package: bool) -> _Source:
    """Return what the content of a source file says."""
    code = _Code()
    tree = code.visit(ast.parse(content))
    return _Source(_hash(ast.dump(tree).encode()), code.imports, _reexports(tree) if is_package else None)


def _reexports(tree: ast.Module) -> dict[str, str] | None:
    """Return where each name of a package comes from, or None if the package does more than import names."""
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: node.module for alias in node.names}
        else:
            return None
    names.pop("annotations", None)
    return names


class _Code(ast.NodeTransformer):
    """Collects imports; removes docstrings, `__all__`, the meanings of words, and what only type checkers see."""

    def __init__(self) -> None:
        self.imports: list[tuple[str, str | None]] = []

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """Collect the modules."""
        self.imports += [(alias.name, None) for alias in node.names]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Collect the module with each name that is imported from it."""
        if node.module and node.module != "__future__":
            self.imports += [(node.module, alias.name) for alias in node.names]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a text that stands alone."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Remove `__all__`."""
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return None if names == ["__all__"] else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Remove the meanings of the words of a vocabulary, which are the second elements of its members."""
        if any(isinstance(base, ast.Name) and base.id == "Vocabulary" for base in node.bases):
            for member in node.body:
                if isinstance(member, ast.Assign) and isinstance(member.value, ast.Tuple):
                    del member.value.elts[1:]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        """Remove `if TYPE_CHECKING:`."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse]
        return self.generic_visit(node)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _load(file: Path) -> dict[str, Any]:
    if not file.is_file():  # not there yet; or a pipe, which can be read forever
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return dict(kept["files"]) if kept["format"] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):  # damaged: it is written anew
        return {}
