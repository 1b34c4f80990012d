from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.signals import annual_volatility, position_size

if TYPE_CHECKING:
    from pm.settings import SignalSettings


def sized(settings: SignalSettings, volatility: float, *, short: bool = False) -> dict[str, float]:
    actions = ["BUY", "SELL", "HOLD"]
    frame = pl.DataFrame({"action": actions, "volatility": [volatility] * 3})
    size = position_size(
        pl.col("action"), pl.col("volatility"), settings=settings.model_copy(update={"allow_short": short})
    )
    return dict(zip(actions, frame.select(size).to_series(), strict=True))


def test_a_horizon_of_five_sessions_is_annualised_by_the_square_root_of_252_over_5() -> None:
    frame = pl.DataFrame({"sigma": [0.04, 0.08], "horizon": [5, 20]})

    # √50.4 = 7.09929…, √12.6 = 3.54964…
    assert frame.select(annual_volatility(pl.col("sigma"), pl.col("horizon"))).to_series().to_list() == pytest.approx(
        [0.2839718, 0.2839718], abs=1e-7
    )


def test_a_position_is_the_target_volatility_divided_by_the_ticker_volatility(settings: SignalSettings) -> None:
    # 5% over 40% is an eighth of equity.
    assert sized(settings, 0.40) == {"BUY": pytest.approx(0.125), "SELL": 0.0, "HOLD": 0.0}


def test_the_position_of_a_calm_ticker_is_limited_to_the_maximum(settings: SignalSettings) -> None:
    assert sized(settings, 0.01)["BUY"] == settings.max_position == 0.25


def test_a_short_position_is_negative_and_only_where_allowed(settings: SignalSettings) -> None:
    assert sized(settings, 0.40, short=True) == {
        "BUY": pytest.approx(0.125),
        "SELL": pytest.approx(-0.125),
        "HOLD": 0.0,
    }
    assert sized(settings, 0.01, short=True)["SELL"] == -0.25
