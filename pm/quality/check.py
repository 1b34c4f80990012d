"""Split delivered bars into good ones and refused ones, each with the rules it broke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.quality.rules import EARLIER_VOLUME, NUMBERS, RANGE, lacks_range, raw_bar_schema, row_rules
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from datetime import date

    from pm.settings import QualitySettings

__all__ = ["Checked", "check_bars", "original_json"]

_KEY = ("batch_id", "ticker", "date")


@dataclass(frozen=True)
class Checked:
    """Delivered rows, split in two: each row is in exactly one of the frames.

    Attributes
    ----------
    good
        Rows that keep every rule, with the columns of raw.bars. Where the high and the low contradict the other prices,
        or one of open, high and low is missing, all three are null.
    refused
        The other rows, with the columns batch_id, row, ticker, date, rule and original of quarantine.
    """

    good: pl.DataFrame
    refused: pl.DataFrame


def check_bars(raw: pl.DataFrame, *, today: date, settings: QualitySettings) -> Checked:
    """Split delivered rows into good and refused ones.

    The rows can be of several batches: a bar that a later batch delivers again is not a duplicate.

    Parameters
    ----------
    raw
        Rows with the columns of raw.bars: all rows of each batch, ticker and date, or duplicates are not found.
    today
        Today's date in UTC; a bar with a later date is refused.
    settings
        Settings, of which `price_tolerance` is used.
    """
    raw = RAW_BARS.conform(raw)
    passed, broken = _by_row(raw, today, settings.price_tolerance)
    good, repeated = _by_batch(passed)
    dropped = lacks_range(settings.price_tolerance)
    good = good.with_columns(pl.when(~dropped).then(pl.col(name)).alias(name) for name in RANGE)
    refused = pl.concat([broken, repeated])
    return Checked(
        good=good, refused=refused.select(*_KEY[:1], "row", "ticker", "date", "rule", original_json(refused))
    )


def _by_row(raw: pl.DataFrame, today: date, tolerance: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows by the rules about a single row; column `rule` has the rules that a row broke, with commas between."""
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
    """Split rows by the rules about duplicates.

    Of equal rows the first is kept; of rows that differ in volume alone the latest that has one, since a vendor repeats
    the day that has not ended; of contradicting rows none.
    """
    repeats = passed.select(pl.struct(_KEY).is_duplicated()).to_series()
    if not repeats.any():
        return passed, passed.clear().with_columns(rule=pl.lit(None, pl.String))
    twice = passed.filter(repeats).join(_last_rows_first(passed), on=["batch_id", "ticker"], how="left")
    later = pl.when("descending").then(-pl.col("row")).otherwise(pl.col("row"))
    latest = pl.struct(pl.col("volume").is_not_null(), later)
    twice = twice.with_columns(
        rule=pl.when(pl.any_horizontal(_varies(name) for name in NUMBERS if name != "volume"))
        .then(pl.lit("conflicting_duplicate"))
        .when(_varies("volume"))
        .then(pl.when(latest != latest.sort().last().over(_KEY)).then(pl.lit(EARLIER_VOLUME)))
        .when(pl.col("row") != pl.col("row").min().over(_KEY))
        .then(pl.lit("duplicate"))
    ).drop("descending")
    kept = twice.filter(pl.col("rule").is_null()).drop("rule")
    good = pl.concat([passed.filter(~repeats), kept])
    return good, twice.filter(pl.col("rule").is_not_null())


def _last_rows_first(passed: pl.DataFrame) -> pl.DataFrame:
    """Return whether the rows of each batch and ticker begin with the newest date: batch_id, ticker, descending."""
    ends = pl.col("date").sort_by("row")
    return passed.group_by("batch_id", "ticker").agg(descending=ends.first() > ends.last())


def _varies(name: str) -> pl.Expr:
    """Return whether a value differs within its batch, ticker and date."""
    return pl.col(name).n_unique().over(_KEY) > 1


def original_json(rows: pl.DataFrame) -> pl.Expr:
    """Return each row as JSON, in column `original`; NaN and infinities, which JSON lacks, are strings."""
    text = pl.struct(name for name in RAW_BARS.polars_schema).struct.json_encode()
    for name in NUMBERS:
        if rows[name].is_finite().all():
            continue
        # Polars writes NaN as null. A ticker cannot contain the text replaced, since quotes in it are escaped.
        value, missing = pl.col(name), f'"{name}":null'
        value_text = (
            pl.when(value.is_finite() | value.is_null())
            .then(pl.lit(missing))
            .otherwise(pl.format(f'"{name}":"{{}}"', value.cast(pl.String)))
        )
        text = text.str.replace(missing, value_text, literal=True)
    return text.alias("original")
