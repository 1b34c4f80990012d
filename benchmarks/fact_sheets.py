"""Write the fifty fact sheets on which a language model must prove that it can be let write: pm/llm/fact_sheets.json.

Runs the pipeline on the embedded sample as of past dates, and keeps the facts of each ticker without their cells. Most
signals of such runs are to hold. Therefore the forecasts of every second ticker are shifted up or down by a part of
their standard deviation, and are said to have an edge, so that there are signals to buy and to sell as well.

Run it with: python benchmarks/fact_sheets.py
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pm.llm.gathering import gather_facts
from pm.pipeline import Request, open_lake
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import llm
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.signals import decide
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.volatility import VOLATILITY
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from pm.llm.facts import FactSheet
    from pm.llm.gathering import FactTables

SHEETS = 50
TARGET = Path(__file__).parents[1] / "pm" / "llm" / "fact_sheets.json"
DATES = [
    date(2001, 3, 30),
    date(2002, 7, 31),
    date(2003, 10, 31),
    date(2004, 12, 31),
    date(2005, 9, 30),
    date(2007, 1, 31),
    date(2008, 10, 31),
    date(2009, 3, 9),
    date(2010, 5, 28),
    date(2011, 8, 31),
    date(2012, 6, 29),
    date(2012, 9, 21),
    date(2013, 3, 1),
]
"""Days of the runs."""
SHIFTS = (0.0, 0.7, 0.0, -0.7)
"""Shifts of the forecasts of one ticker after another, in standard deviations of the return over the horizon."""


def shifted(tables: FactTables, context: Context, first: int) -> FactTables:
    """Return the tables with the forecasts of some tickers shifted, and the decisions made from them."""
    shift = {ticker: SHIFTS[(first + place) % len(SHIFTS)] for place, ticker in enumerate(tables.tickers)}
    moved = [ticker for ticker in tables.tickers if shift[ticker]]
    forecasts = context.read_outputs(FORECASTS, "model = 'ensemble'")
    by = pl.col("ticker").replace_strict(shift, return_dtype=pl.Float64) * pl.col("sigma")
    columns = [quantile_column("q", level) for level in QUANTILES]
    forecasts = forecasts.with_columns(
        *((pl.col(name) * by.exp()) for name in (*columns, "mean")), mean_log_return=pl.col("mean_log_return") + by
    )
    decided = decide(forecasts, context.read_outputs(VOLATILITY), settings=context.settings.signals).signals
    signals = context.stamp(decided.with_columns(last_bar_batch_id=pl.lit("")), cutoff=tables.as_of)
    is_moved = pl.col("ticker").is_in(moved)
    error = 0.97 - 0.01 * math.fmod(first, 9)
    weights = tables.weights.with_columns(
        verdict=pl.when(is_moved).then(pl.lit("edge")).otherwise("verdict"),
        relative_rmse=pl.when(is_moved & (pl.col("model") == "ensemble")).then(error).otherwise("relative_rmse"),
        weight=pl.when(is_moved & (pl.col("model") == "naive"))
        .then(0.25)
        .when(is_moved & (pl.col("model") == "theta"))
        .then(0.75)
        .when(~is_moved)
        .then("weight"),
    )
    return replace(tables, signals=signals, weights=weights)


def main() -> None:
    """Run the pipeline as of each date, and write the sheets."""
    sheets: list[FactSheet] = []

    def keep(context: Context) -> Result:
        tables = llm.read_fact_tables(context)
        sheets.extend(gather_facts(shifted(tables, context, len(sheets))))
        return Result([], "kept")

    names = [stage.name for stage in RUN_STAGES]
    own = Stage("sheets", keep, reads=(*llm.STAGE.reads, FORECASTS, VOLATILITY))
    stages = (*RUN_STAGES[: names.index("signals") + 1], own)
    with tempfile.TemporaryDirectory() as folder:
        workspace, settings = init_workspace(Path(folder)), load_settings()
        for day in DATES:
            with open_lake(workspace, settings) as lake:
                Runner(lake, settings, workspace, lambda _: None).run(stages, Request(as_of=day))
            print(day, len(sheets))
    lines = ",\n".join(json.dumps(sheet.to_json()) for sheet in sheets[:SHEETS])
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{min(SHEETS, len(sheets))} of {len(sheets)} sheets in {TARGET}")


if __name__ == "__main__":
    main()
