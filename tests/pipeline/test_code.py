"""What moves the fingerprint of which stage: edits in a copy of the package, and nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pm
from pm.pipeline import libraries
from pm.pipeline.code import CodeReader
from pm.pipeline.fingerprint import code_hash, packages_of, stage_closure
from pm.pipeline.libraries import library_versions
from pm.pipeline.origin_dates import ChosenDates
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.stages.evaluate import evaluating
from pm.pipeline.stages.policy import training
from pm.settings import load_settings
from pm.tables.pipeline import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.pipeline.stage import Stage

STAGES = (*RUN_STAGES, evaluating([1], ChosenDates(2)), training(cutoff=None, seed=0))
ALL = {stage.name for stage in STAGES}
ROOT = Path(pm.__file__).parent


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a copy of the package that a test may edit."""
    return shutil.copytree(ROOT, tmp_path / "pm", ignore=shutil.ignore_patterns("__pycache__"))


def digests(package: Path) -> dict[str, str]:
    reader = CodeReader(package, cache=package.parent / "code.json")  # files that have not changed are read once
    return {stage.name: stage_closure(stage, reader).digest for stage in STAGES}


MODEL = {"volatility", "forecast", "evaluate"}

EDITS: list[tuple[str, str, set[str]]] = [
    ("price_format.py", "\nEXTRA = 1\n", {"llm", "report"}),
    ("compiled.py", "\nEXTRA = 1\n", MODEL | {"risk", "portfolio"}),
    ("volatility/base.py", "\nEXTRA = 1\n", {"volatility", "risk", "portfolio", "evaluate"}),
    ("forecast/stacking.py", "\nEXTRA = 1\n", {"forecast", "evaluate"}),
    ("features/returns.py", "\nEXTRA = 1\n", {"features"}),
    ("quality/rules.py", "\nEXTRA = 1\n", {"land", "check"}),
    ("sources/sample.py", "\nEXTRA = 1\n", {"land", "texts"}),
    ("signals/sizing.py", "\nEXTRA = 1\n", {"signals", "evaluate"}),
    ("llm/clauses.py", "\nEXTRA = 1\n", {"llm"}),
    ("llm/duplicates.py", "\nEXTRA = 1\n", {"sentiment"}),
    ("llm/opinions.py", "\nEXTRA = 1\n", {"opinions"}),
    ("report/report.css", "\n/* wider */\n", {"report"}),
    ("pipeline/watch_list.py", "\nEXTRA = 1\n", ALL - {"check", "features", "texts", "validate"}),
    ("validation/nightly.py", "\nEXTRA = 1\n", {"validate"}),
    ("pipeline/runner.py", "\nEXTRA = 1\n", set()),
    ("lake/console.py", "\nEXTRA = 1\n", set()),
    ("lake/lake.py", "\nEXTRA = 1\n", set()),
    ("cli/app.py", "\nEXTRA = 1\n", set()),
    ("parallel/workers.py", "\nEXTRA = 1\n", set()),
    ("settings/load.py", "\nEXTRA = 1\n", set()),
    ("__init__.py", '\n__version__ = "9.9.9"\n', set()),
    ("errors.py", "\nEXTRA = 1\n", set()),
    ("tables/vocabulary.py", "\nEXTRA = 1\n", ALL - {"features"}),
    ("tables/quantiles.py", "\nEXTRA = 1\n", MODEL | {"signals", "report"}),
    ("signals/sizing.py", '\n__all__ = ["EXTRA"]\n', set()),
    ("signals/.DS_Store", "x", set()),
    ("report/notes.txt~", "x", set()),
    ("tables/pipeline.py", "\n# a comment\n", set()),
    ("tables/forecast.py", '\n"""Another text."""\n', set()),
    ("volatility/base.py", "\n# a comment\n", set()),
    ("forecast/stacking.py", '\n"""A further docstring."""\n', set()),
    ("forecast/stacking.py", "\nif TYPE_CHECKING:\n    import arch\n", set()),
]


def test_an_edit_moves_exactly_the_stages_that_depend_on_it(package: Path) -> None:
    before = digests(package)
    wrong = []
    for name, text, expected in EDITS:
        file = package / name
        original = file.read_bytes() if file.exists() else b""
        file.write_bytes(original + text.encode())
        after = digests(package)
        file.write_bytes(original)
        moved = {stage for stage in ALL if after[stage] != before[stage]}
        if moved != expected:
            wrong.append(f"{name} {text!r}: {sorted(moved)}, expected {sorted(expected)}")
    assert not wrong


def test_a_docstring_or_comment_inside_a_function_is_no_change_of_code(package: Path) -> None:
    before = digests(package)
    file = package / "signals" / "sizing.py"
    text = file.read_text(encoding="utf-8")
    assert '    """' in text
    file.write_text(
        text.replace('    """', '    """Edited: ', 1).replace("\n    return", "\n    # why\n    return"),
        encoding="utf-8",
    )
    assert digests(package) == before
    file.write_text(text.replace("\n    return", "\n    pass\n    return"), encoding="utf-8")
    assert digests(package) != before


def test_a_word_counts_and_its_meaning_does_not(package: Path) -> None:
    before = digests(package)
    file = package / "tables" / "vocabulary.py"
    text = file.read_text(encoding="utf-8")
    for old, new, moves in (
        ("Left out: two bars", "Left out, since two bars", False),
        ('"bad_price"', '"odd_price"', True),
    ):
        assert text.count(old) == 1
        file.write_text(text.replace(old, new), encoding="utf-8")
        assert (digests(package) != before) == moves, new


def test_every_resource_of_the_package_has_a_suffix_that_counts() -> None:
    files = {file for file in ROOT.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    others = {file.name for file in files if file.suffix not in {".py", ".css", ".csv", ".j2", ".js"}}
    # What a model must prove itself on is no input of a stage; whether it has is, and changes with the sheets.
    assert others == {"py.typed", "fact_sheets.json"}


def test_a_stage_of_the_users_own_depends_on_the_modules_beside_it(tmp_path: Path) -> None:
    stage, helper = tmp_path / "mystage.py", tmp_path / "helpers" / "prices.py"
    helper.parent.mkdir()
    (helper.parent / "__init__.py").write_text("")
    stage.write_text("import numpy\nfrom helpers.prices import twice\n")
    helper.write_text("import scipy\ndef twice(x): return 2 * x\n")
    before = CodeReader(ROOT).closure("mystage", stage)
    assert before.packages == {"numpy", "scipy"}
    assert before.modules.keys() == {"mystage", "helpers", "helpers.prices"}
    helper.write_text("import scipy\ndef twice(x): return 3 * x\n")
    assert CodeReader(ROOT).closure("mystage", stage).digest != before.digest


def test_what_was_read_is_kept_until_a_file_changes(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "code.json"
    module = "pm.pipeline.stages.forecast"
    first = CodeReader(package, cache=cache).closure(module)
    assert CodeReader(package, cache=cache).closure(module) == first == CodeReader(package).closure(module)
    with (package / "forecast" / "stacking.py").open("a", encoding="utf-8") as file:
        file.write("\nEXTRA = 1\n")
    changed = CodeReader(package, cache=cache).closure(module)
    assert changed == CodeReader(package).closure(module) != first
    cache.write_text("not JSON", encoding="utf-8")
    assert CodeReader(package, cache=cache).closure(module) == changed


def hashes(stage: Stage) -> str:
    return code_hash(stage, load_settings(), CodeReader(ROOT))


def test_a_table_counts_by_its_columns_and_key_not_by_its_comments() -> None:
    stage = RUN_STAGES[-1]
    assert RUNS in stage.reads

    def with_runs(**changes: object) -> Stage:
        other = replace(RUNS, **changes)  # type: ignore[arg-type]
        return replace(stage, reads=tuple(other if table is RUNS else table for table in stage.reads))

    columns = RUNS.columns
    assert hashes(with_runs(comment="Another comment, with a comma.")) == hashes(stage)
    assert hashes(with_runs(columns=(replace(columns[0], comment="x"), *columns[1:]))) == hashes(stage)
    assert hashes(with_runs(columns=(replace(columns[0], name="run"), *columns[1:]))) != hashes(stage)
    assert hashes(with_runs(columns=(replace(columns[0], dtype=columns[-4].dtype), *columns[1:]))) != hashes(stage)
    assert hashes(with_runs(key=("run_id", "kind"))) != hashes(stage)


def test_a_setting_counts_only_for_the_stages_that_declare_it() -> None:
    settings, reader = load_settings(), CodeReader(ROOT)
    before = {stage.name: code_hash(stage, settings, reader) for stage in STAGES}
    changes: list[tuple[str, dict[str, Any], set[str]]] = [
        ("signals", {"threshold": 0.52}, {"signals", "evaluate", "opinions"}),
        ("llm", {"time_series_primary": False}, {"opinions"}),
        ("report", {"max_rows": 7}, {"report"}),
        ("volatility", {"seed": 7}, {"volatility", "evaluate"}),
        ("forecast", {"models": ["naive"]}, {"forecast", "evaluate", "policy"}),
        ("forecast", {"horizon": 6}, {"volatility", "forecast", "evaluate", "policy", "portfolio", "opinions"}),
        ("risk", {"seed": 7}, {"risk", "portfolio"}),
        ("portfolio", {"band": 0.3}, {"portfolio"}),
        ("portfolio", {"lot": 10}, {"portfolio", "orders"}),
        ("quality", {"jump_return": 0.05}, {"check"}),
        ("sources", {"priority": ["sample"]}, {"check"}),
        ("validation", {"benchmark": "cash"}, {"report"}),
        ("run", {"chunk_size": 2, "jobs": 1}, set()),
        ("lake", {"expire_after_days": 3}, set()),
    ]
    for section, values, expected in changes:
        changed = settings.section(section).model_copy(update=values)
        others = settings.model_copy(update={section: changed})
        moved = {stage.name for stage in STAGES if code_hash(stage, others, reader) != before[stage.name]}
        assert moved == expected, (section, values)


def test_the_packages_are_those_that_the_code_imports_and_those_that_they_require() -> None:
    reader = CodeReader(ROOT)
    packages = {stage.name: set(packages_of([stage], reader)) for stage in STAGES}
    assert {"arch", "statsmodels", "numba", "numpy", "scipy", "polars"} <= packages["volatility"]
    assert {"statsforecast", "statsmodels", "numba", "numpy", "scipy", "polars"} <= packages["forecast"]
    assert packages["volatility"] | packages["forecast"] <= packages["evaluate"]
    assert "polars" in packages["features"]
    assert not {"jinja2", "duckdb", "typer", "rich", "joblib", "dask"} & packages["forecast"]
    assert "jinja2" in packages["report"]


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert library_versions(frozenset({"surely_not_installed"})) == {}
    assert library_versions(frozenset({"yaml"})).keys() == {"PyYAML"}


def test_every_library_of_a_run_is_found_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, distributions = CodeReader(ROOT), packages_distributions()
    monkeypatch.setattr(libraries, "packages_distributions", lambda: pytest.fail("this takes 0.2 s"))
    for package in {package for stage in RUN_STAGES for package in stage_closure(stage, reader).packages}:
        found = library_versions.__wrapped__(frozenset({package}))
        assert normalised(found) >= normalised(distributions[package]) - {"cvxpy"}, (
            package
        )  # which only adds solvers to cvxpy-base


def normalised(names: Iterable[str]) -> set[str]:
    return {name.lower().replace("_", "-") for name in names}


def test_line_endings_of_a_checkout_do_not_matter(package: Path) -> None:
    before = digests(package)
    for file in package.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert digests(package) == before
