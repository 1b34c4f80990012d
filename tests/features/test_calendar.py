from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pm.features import compute_features

if TYPE_CHECKING:
    import polars as pl


def test_calendar_is_that_of_python(sample_bars: pl.DataFrame) -> None:
    features = compute_features(sample_bars.filter(ticker="GOOG"))
    dates = features["date"].to_list()
    assert features["day_of_week"].to_list() == [day.isoweekday() for day in dates]
    assert features["day_of_month"].to_list() == [day.day for day in dates]
    assert features["month"].to_list() == [day.month for day in dates]
    expected = [None, *((after - before).days for before, after in pairwise(dates))]
    assert features["days_since_previous"].to_list() == expected
