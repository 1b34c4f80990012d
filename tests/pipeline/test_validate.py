"""Stage `validate`: skipped until an outcome is there, and never without an answer."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm import pipeline
from pm.cli.validate import count_outcomes
from pm.pipeline import open_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult
    from pm.workspace import Workspace

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]

FIRST_NIGHT, LATER = date(2012, 12, 20), date(2012, 12, 31)
"""A night, and one six sessions later, when the horizon of five sessions is over."""


@pytest.fixture(scope="module")
def house(
    build_once: Build,
    stocks: pl.DataFrame,
    run_pipeline: Run,
    import_files: Run,
    workspace_in: Callable[[Path], Workspace],
    settings_with: Callable[..., Any],
) -> Path:
    """Return a workspace with two nights, each validated, and validated once more."""

    def validated(folder: Path) -> None:
        settings, workspace = settings_with(), workspace_in(folder)
        with open_lake(workspace, settings) as lake:
            pipeline.validate(lake, workspace, settings, lambda _: None)
            with (folder / "told.txt").open("a") as file:
                file.write(" ".join(count_outcomes(lake)) + "\n")

    def build(folder: Path) -> None:
        two = pl.col("ticker").is_in(["IBM", "MSFT"]) & (pl.col("date") >= date(2010, 1, 4))
        validated(folder)  # an empty lake
        for last in (FIRST_NIGHT, LATER):
            stocks.filter(two & (pl.col("date") <= last)).write_parquet(folder / "bars.parquet")
            import_files(folder, folder / "bars.parquet")
            run_pipeline(folder, upto="signals")
            validated(folder)
        validated(folder)

    return build_once("house_validated", build)


def test_the_stage_is_skipped_while_nothing_has_resolved(house: Path, read_table: Read) -> None:
    events = read_table(house, "stage_events", "stage = 'validate'").sort("finished_at", "run_id")
    assert events["status"].to_list() == ["skipped", "skipped", "done", "skipped"]
    assert events["summary"].to_list() == [
        "there are no bars",
        "nothing has resolved yet: the next outcome is due on 2012-12-21",
        events["summary"][2],
        "nothing has resolved since 2012-12-31",
    ]
    assert "too early" in events["summary"][2]


def test_its_rows_count_the_outcomes_and_say_when_the_next_is_due(house: Path, read_table: Read, ask: Read) -> None:
    rows = read_table(house, "validations")
    assert rows["cutoff"].unique().to_list() == [LATER]
    assert set(rows["verdict"]) == {"too_early"}
    whole = rows.filter(pl.col("part") == "", subject="signals")
    assert set(whole["measure"]) == {
        "probability of a gain", "probability of a loss", "return of following BUY and SELL after costs",
    }  # fmt: skip
    gain = whole.row(by_predicate=pl.col("measure") == "probability of a gain", named=True)
    assert (gain["outcomes"], gain["independent"]) == (2, 1)
    signals = read_table(house, "signals").filter(cutoff=FIRST_NIGHT)
    assert gain["reference"] == pytest.approx(signals["probability_gain"].round(2).mean())
    assert gain["due"] == read_table(house, "signals").filter(cutoff=LATER)["target_date"].min()
    forecasts = rows.filter(subject="forecasts", measure="share inside the 90% interval")
    assert forecasts.sort("part").select("part", "outcomes").rows() == [("1 session", 2), ("5 sessions", 2)]
    places = ask(
        house, "SELECT step, quantiles_below FROM scored_forecasts WHERE model = 'ensemble' AND basis = 'runs'"
    )
    middles = [0.0125, 0.0375, 0.075, 0.175, 0.375, 0.625, 0.825, 0.925, 0.9625, 0.9875]
    below = [middles[place] for place in places.filter(step=5)["quantiles_below"]]
    pit = rows.filter(subject="forecasts", part="5 sessions", measure="mean of the PIT")
    assert pit.select("outcomes", "reference").rows() == [(2, 0.5)]
    assert pit["value"].item() == pytest.approx(sum(below) / len(below))
    assert rows.filter(subject="risk").select("outcomes", "value").rows() == [(0, None)]


def test_the_question_of_what_signals_were_worth_always_has_an_answer(house: Path) -> None:
    nothing, waiting, over, _ = (house / "told.txt").read_text().splitlines()
    assert nothing.startswith("There are no signals of a night yet")
    assert waiting == (
        "1 night from 2012-12-20 to 2012-12-20: 0 of 2 signals have an outcome. "
        "The next outcome of a signal is due with the bars of 2012-12-27."
    )
    assert over.startswith("2 nights from 2012-12-20 to 2012-12-31: 2 of 4 signals have an outcome. The next outcome")
