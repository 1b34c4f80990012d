"""Parts landed bars into those that may be used and those refused, each with the rules it broke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.quality.rules import NUMBERS, raw_bar_schema, row_rules
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from datetime import date

    from pm.settings import QualitySettings

__all__ = ["Checked", "check_bars", "original_json"]

_KEY = ("batch_id", "ticker", "date")


@dataclass(frozen=True)
class Checked:
    """Landed rows, parted; each is in one of the two frames, once.

    Attributes
    ----------
    good
        Rows that may be used, with the columns of raw.bars.
    refused
        The others, with the columns of quarantine but its stamp: batch_id, row, ticker, date, rule, original.
    """

    good: pl.DataFrame
    refused: pl.DataFrame


def check_bars(raw: pl.DataFrame, *, today: date, settings: QualitySettings) -> Checked:
    """Part landed rows into good and refused.

    Rows of several batches may come together: a bar that a later batch sends again is no duplicate.

    Parameters
    ----------
    raw
        Rows with the columns of raw.bars. Of a batch and ticker it must hold every row of the date, or duplicates
        are not seen.
    today
        The day of the wall clock, in UTC: a bar dated later is refused.
    settings
        `price_tolerance` is read.
    """
    raw = RAW_BARS.conform(raw)
    passed, broken = _by_row(raw, today, settings.price_tolerance)
    good, repeated = _by_batch(passed)
    refused = pl.concat([broken, repeated])
    return Checked(
        good=good, refused=refused.select(*_KEY[:1], "row", "ticker", "date", "rule", original_json(refused))
    )


def _by_row(raw: pl.DataFrame, today: date, tolerance: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Apply the rules a row keeps or breaks by itself; those it broke are joined in `rule`."""
    rules = row_rules(today=today, tolerance=tolerance)
    good, failure = raw_bar_schema(rules).filter(raw)
    broken = failure.details().with_columns(
        rule=pl.concat_str(
            (pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in rules),
            separator=",",
            ignore_nulls=True,
        )
    )
    return pl.DataFrame(good), broken.select(*raw.columns, "rule")


def _by_batch(passed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Find what a batch says twice: the first of equal rows is kept; of rows that contradict each other, none."""
    repeats = passed.select(pl.struct(_KEY).is_duplicated()).to_series()
    twice = passed.filter(repeats).with_columns(
        rule=pl.when(pl.any_horizontal(_varies(name) for name in NUMBERS))
        .then(pl.lit("conflicting_duplicate"))
        .when(pl.col("row") != pl.col("row").min().over(_KEY))
        .then(pl.lit("duplicate"))
    )
    kept = twice.filter(pl.col("rule").is_null()).drop("rule")
    good = pl.concat([passed.filter(~repeats), kept])
    return good, twice.filter(pl.col("rule").is_not_null())


def _varies(name: str) -> pl.Expr:
    """Tell whether a value differs within its batch, ticker and date."""
    return pl.col(name).n_unique().over(_KEY) > 1


def original_json(rows: pl.DataFrame) -> pl.Expr:
    """Give each row as it landed, as JSON, named `original`; JSON has no NaN or infinity, so they are strings."""
    text = pl.struct(name for name in RAW_BARS.polars_schema).struct.json_encode()
    for name in NUMBERS:
        if rows[name].is_finite().all():
            continue
        # Polars writes them as null. A ticker cannot hold what is replaced: inside a string quotes are escaped.
        value, missing = pl.col(name), f'"{name}":null'
        said = (
            pl.when(value.is_finite() | value.is_null())
            .then(pl.lit(missing))
            .otherwise(pl.format(f'"{name}":"{{}}"', value.cast(pl.String)))
        )
        text = text.str.replace(missing, said, literal=True)
    return text.alias("original")
