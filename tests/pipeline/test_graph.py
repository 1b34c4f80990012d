from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest

from pm.pipeline.graph import CircularStagesError, draw, in_order, producers
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.stage import Stage
from pm.pipeline.writes import Result
from pm.tables.features import FEATURES
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


def stage(name: str, reads: tuple[object, ...] = (), writes: tuple[object, ...] = ()) -> Stage:
    return Stage(name, lambda _: Result([], ""), reads=reads, writes=writes)  # type: ignore[arg-type]


def test_the_order_follows_from_the_tables_whatever_order_is_given() -> None:
    land, check = stage("land", (), (RAW_BARS,)), stage("check", (RAW_BARS, BARS), (BARS, EXCLUSIONS))
    features, report = stage("features", (BARS,), (FEATURES,)), stage("report", (FEATURES, EXCLUSIONS))
    orders = {tuple(one.name for one in in_order(given)) for given in permutations((land, check, features, report))}
    assert orders == {("land", "check", "features", "report")}


def test_stages_that_do_not_depend_on_each_other_keep_the_order_given() -> None:
    first, second = stage("first", (BARS,), (FEATURES,)), stage("second", (BARS,), (EXCLUSIONS,))
    assert in_order((first, second)) == (first, second)
    assert in_order((second, first)) == (second, first)


def test_stages_that_wait_for_each_other_are_refused_by_name() -> None:
    one, two = stage("one", (BARS,), (FEATURES,)), stage("two", (FEATURES,), (BARS,))
    with pytest.raises(CircularStagesError, match=r"wait for each other: (one, two, one|two, one, two)"):
        in_order((stage("apart"), one, two))


def test_the_stages_of_a_run_have_the_order_that_the_readme_shows() -> None:
    names = ["land", "check", "texts", "features", "volatility", "forecast", "signals", "ledger", "risk", "portfolio"]
    names += ["orders", "validate", "sentiment", "opinions", "llm", "report"]
    assert [one.name for one in in_order(RUN_STAGES)] == names
    assert producers(in_order(RUN_STAGES))["exclusions"] == ("volatility", "forecast", "signals", "risk", "portfolio")


def test_the_drawing_in_the_documents_is_the_graph_of_the_stages() -> None:
    drawn = re.search(
        r"<!-- stages -->\s*```mermaid\n(.*?)\n```\s*<!-- /stages -->",
        ARCHITECTURE.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert drawn is not None
    assert drawn[1] == draw(RUN_STAGES), f"paste this into docs/architecture.md:\n{draw(RUN_STAGES)}"
    readers = {line.split()[-1] for line in drawn[1].splitlines() if line.strip().startswith("features --")}
    assert readers == {"forecast", "opinions", "llm", "report"}
