"""Rules about the code, checked by reading it: which module can import which, and which room knows which library."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import pm

PACKAGE = Path(pm.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

COMMON = [
    "pm", "errors", "clock", "disk", "open_files", "plural", "windows_paths", "age", "resources", "typing", "workspace",
    "sessions", "markets", "seeding", "compiled", "kernels", "price_format", "number_format", "prices", "currencies",
    "tables", "exclusions", "settings", "statistics", "parallel",
]  # fmt: skip
"""Rooms and modules that every room can use, in the order in which they can import each other."""
PURE = [
    *("sources", "quality", "features", "volatility", "forecast", "signals", "risk", "portfolio"),
    *("ledger", "broker", "audit", "validation", "llm", "report", "monitor", "notify"),
]
"""Rooms that are given frames and return frames, in the order of the data's way."""
ORDER = [*COMMON, "lake", "export", *PURE, "schedule", "pipeline", "reader", "serve", "cli", "__main__"]
"""All rooms: a room can import only those before it."""


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py") if first != "__init__.py" else "pm"


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text_of(path))))


@cache
def imports(path: Path) -> list[str]:
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room_of(path) for path in MODULES} <= set(ORDER)


def test_a_room_imports_only_rooms_before_it() -> None:
    offenders = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in MODULES
        for module in imports(path)
        if module.startswith("pm.")
        and module.split(".")[1] != room_of(path)
        and ORDER.index(module.split(".")[1]) > ORDER.index(room_of(path))
        and (room_of(path), module) != ("pm", "pm.reader")  # `pm.open`, which imports it when it is called
    ]
    assert offenders == []


def test_a_pure_room_does_not_import_the_lake() -> None:
    offenders = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in MODULES
        for module in imports(path)
        if room_of(path) in {*PURE, "schedule"} and module.startswith("pm.lake")
    ]
    assert offenders == []


SLOW = [
    "duckdb",
    "pandas",
    "statsforecast",
    "dataframely",
    "exchange_calendars",
    "httpx",
    "yfinance",
    "skfolio",
    "cvxpy",
]


def test_importing_a_pure_room_imports_no_database_and_nothing_slow() -> None:
    """All rooms are imported in one new process, in their order, and what each adds is looked at."""
    program = f"""
import importlib, sys
for room in {[*COMMON[1:], *PURE, "schedule"]}:
    importlib.import_module("pm." + room)
    for library in {SLOW}:
        if library in sys.modules:
            print(room, "imports", library)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_the_lake_knows_nothing_of_what_its_tables_mean() -> None:
    words = re.compile(
        r"\b(tickers?|bars?|price|prices|forecasts?|signals?|volatility|aapl|catalogue\.TABLES)\b", re.IGNORECASE
    )
    found = {path.name: words.findall(text_of(path)) for path in MODULES if room_of(path) == "lake"}
    assert {name: used for name, used in found.items() if used} == {}
    for path in MODULES:
        if room_of(path) == "lake":
            tables = {module for module in imports(path) if module.startswith("pm.tables")}
            assert tables <= {"pm.tables.declaration", "pm.tables.lake"}, path


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("duckdb", {"lake"}),
        ("psycopg", {"lake"}),
        ("joblib", {"parallel"}),
        ("exchange_calendars", {"sessions"}),
        ("statsforecast", {"forecast"}),
        ("arch", {"validation", "volatility"}),
        ("llama_cpp", {"llm"}),
        ("skfolio", {"portfolio"}),
        ("cvxpy", {"portfolio"}),
        ("dataframely", {"quality"}),
        ("httpx", {"notify", "sources"}),
        ("httpcore", {"sources"}),
        ("tenacity", {"sources"}),
        ("yfinance", {"sources"}),
        ("curl_cffi", {"sources"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("pydantic_settings", {"settings"}),
        ("apscheduler", {"schedule"}),
        ("tzlocal", {"schedule"}),
        ("alpaca", {"broker"}),
        ("ib_async", {"broker"}),
        ("starlette", {"serve"}),
        ("uvicorn", {"serve"}),
        ("prometheus_client", {"monitor"}),
    ],
)
def test_a_library_is_known_in_one_place(library: str, homes: set[str]) -> None:
    users = {room_of(path) for path in MODULES if any(m.split(".")[0] == library for m in imports(path))}
    assert users
    assert users <= homes


def test_only_the_lake_speaks_ducklake() -> None:
    speakers = {room_of(path) for path in MODULES if "ducklake_" in text_of(path).lower()}
    assert speakers == {"lake"}


def test_the_command_line_contains_no_sql_and_changes_no_global() -> None:
    sql = re.compile(r"\b(SELECT\s.+\sFROM|FROM\s+\w+\s+(WHERE|ORDER|JOIN)|INSERT INTO|DELETE FROM)\b", re.DOTALL)
    offenders = []
    for path in MODULES:
        if room_of(path) != "cli":
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Global):
                offenders.append(f"{path.name}:{node.lineno} global {node.names}")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and sql.search(node.value):
                offenders.append(f"{path.name}:{node.lineno} {node.value!r}")
    assert offenders == []


def test_only_settings_read_the_environment() -> None:
    readers = {
        room_of(path)
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        if "PYTHONIOENCODING" not in text_of(path).splitlines()[node.lineno - 1]  # Python's own, not a setting
    }
    assert readers == {"settings"}


@cache
def exported(path: Path) -> set[str] | None:
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def file_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def borrowed() -> list[tuple[str, str, str]]:
    """Return every name that a module of the package imports from another: the file, the module, and the name."""
    found = []
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pm."):
                module = str(node.module)
                found += [(str(path), module, alias.name) for alias in node.names]
    return found


def test_what_others_use_is_exported() -> None:
    for user, module, name in borrowed():
        names = exported(file_of(module))
        is_module = file_of(f"{module}.{name}").exists()
        assert is_module or (names is not None and name in names), f"{user} takes {name} from {module}"


def test_what_is_exported_exists() -> None:
    missing = []
    for path in MODULES:
        module = ".".join(["pm", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        names = exported(path) or ()
        missing += [f"{module}.{name}" for name in names if not hasattr(importlib.import_module(module), name)]
    assert missing == []
