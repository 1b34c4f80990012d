"""The house rules, held by reading the code: who may import whom, and who alone knows what."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import pm

PACKAGE = Path(pm.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Rooms in the order of the data's way: a room may import those before it.
WAY = ["sources", "lake", "quality", "features", "volatility", "forecast", "signals", "report", "pipeline", "cli"]
COMMON = {"errors", "parallel", "prices", "resources", "sessions", "settings", "workspace", "pm"}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py") if first != "__init__.py" else "pm"


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_rooms_before_it(path: Path) -> None:
    mine = room_of(path)
    for module in imports(path):
        if not module.startswith("pm."):
            continue
        theirs = module.split(".")[1]
        if theirs == mine or theirs in COMMON or module == "pm.lake.tables":
            continue
        assert mine in WAY, f"{path} is common to all rooms and imports {module}"
        assert theirs in WAY
        assert WAY.index(theirs) < WAY.index(mine), f"{path} imports {module}, which comes after it"


PURE = ["sources", "quality", "features", "volatility", "forecast", "signals", "report"]


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_touches_no_lake(room: str) -> None:
    used = {module for path in MODULES if room_of(path) == room for module in imports(path)}
    assert {module for module in used if module.startswith("pm.lake")} <= {"pm.lake.tables"}


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("duckdb", {"lake", "sources"}),
        ("joblib", {"parallel"}),
        ("exchange_calendars", {"sessions"}),
        ("statsforecast", {"forecast"}),
        ("arch", {"volatility"}),
        ("plotly", {"report"}),
        ("dataframely", {"quality"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("pydantic_settings", {"settings"}),
    ],
)
def test_a_library_is_known_in_one_place(library: str, homes: set[str]) -> None:
    users = {room_of(path) for path in MODULES if any(m.split(".")[0] == library for m in imports(path))}
    assert users
    assert users <= homes


def test_only_the_lake_speaks_ducklake() -> None:
    speakers = {room_of(path) for path in MODULES if "ducklake_" in path.read_text(encoding="utf-8").lower()}
    assert speakers == {"lake"}


def test_only_settings_read_the_environment() -> None:
    readers = {
        room_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers == {"settings"}


def exported(path: Path) -> set[str] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def file_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def borrowed() -> list[tuple[str, str, str]]:
    """Give every name one module of the package takes from another: who, from where, what."""
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pm."):
                module = str(node.module)
                found += [(str(path), module, alias.name) for alias in node.names]
    return found


def test_what_others_use_is_exported() -> None:
    for user, module, name in borrowed():
        names = exported(file_of(module))
        is_module = file_of(f"{module}.{name}").exists()
        assert is_module or (names is not None and name in names), f"{user} takes {name} from {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_is_exported_exists(path: Path) -> None:
    module = ".".join(["pm", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    for name in exported(path) or ():
        assert hasattr(importlib.import_module(module), name)
