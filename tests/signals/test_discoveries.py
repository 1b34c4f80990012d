from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.settings import load_settings
from pm.signals import decide, edge_discoveries
from pm.statistics.diebold_mariano import diebold_mariano

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pm.settings import SignalSettings

    Lognormal = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]


def weights_of(p_values: Mapping[str, float | None], *, evidence: str = "own") -> pl.DataFrame:
    """Return rows of table `model_weights`: an edge wherever the p-value is below 5% or not known."""
    rows = [
        {
            "ticker": ticker,
            "model": model,
            "verdict": "edge" if p is None or p < 0.05 else "no edge",
            "evidence": evidence,
            "dm_p_value": p,
        }
        for ticker, p in p_values.items()
        for model in ("ensemble", "naive")
    ]
    return pl.DataFrame(rows, schema_overrides={"dm_p_value": pl.Float64})


def test_an_edge_at_four_percent_is_a_discovery_alone_and_not_among_fifty() -> None:
    alone = edge_discoveries(weights_of({"UP": 0.04}), 0.1)
    assert alone.rows() == [("UP", 0.04, 0.04, True)]

    others = {f"T{place}": p for place, p in enumerate(np.linspace(0.06, 1, 49).tolist())}
    crowd = edge_discoveries(weights_of({"UP": 0.04} | others), 0.1)
    assert crowd["discovered"].sum() == 0
    assert crowd.filter(ticker="UP")["edge_q_value"].item() > 0.1


def test_a_night_without_any_edge_claims_almost_none() -> None:
    random = np.random.default_rng(1)
    claimed = 0
    for _ in range(200):
        p_values = {f"T{place}": float(p) for place, p in enumerate(random.uniform(size=100))}
        claimed += edge_discoveries(weights_of(p_values), 0.1)["discovered"].any()
    assert claimed / 200 < 0.17  # 10% expected; without control each night would claim about five edges


def test_a_pooled_edge_counts_as_one_test_at_five_percent() -> None:
    weights = weights_of({"A": None, "B": None}, evidence="pooled")
    assert edge_discoveries(weights, 0.1)["discovered"].to_list() == [True, True]
    assert edge_discoveries(weights, 0.01)["discovered"].to_list() == [False, False]


def test_no_ticker_was_tested() -> None:
    weights = weights_of({"A": None}, evidence="none").with_columns(verdict=pl.lit("no edge"))
    assert edge_discoveries(weights, 0.1).rows() == [("A", None, None, False)]
    assert edge_discoveries(weights.clear(), 0.1).is_empty()


def test_a_signal_whose_edge_is_no_discovery_is_a_hold_that_says_so(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    frames = lognormal({"UP": (0.06, 0.08), "LOST": (0.06, 0.08), "FLAT": (0.0, 0.08)})
    discoveries = edge_discoveries(weights_of({"UP": 0.001, "LOST": 0.2, "FLAT": 0.9}), 0.1)
    rows = {
        row["ticker"]: row for row in decide(*frames, settings=settings, discoveries=discoveries).signals.to_dicts()
    }

    assert (rows["UP"]["action"], rows["UP"]["reason"]) == ("BUY", "reached")
    assert (rows["FLAT"]["action"], rows["FLAT"]["reason"]) == ("HOLD", "not_reached")
    lost = rows["LOST"]
    assert (lost["action"], lost["reason"], lost["size"]) == ("HOLD", "not_among_discoveries", 0.0)
    assert (lost["stop"], lost["target"]) == (None, None)
    assert lost["edge_q_value"] == pytest.approx(0.2 * 3 / 2)
    assert (
        "is not among the discoveries: its p-value adjusted for all tickers is 0.3, where 10% is allowed"
        in lost["rule"]
    )


def test_a_ticker_that_was_never_tested_is_no_discovery(lognormal: Lognormal) -> None:
    nobody = edge_discoveries(weights_of({"OTHER": 0.001}), 0.1)
    row = decide(*lognormal({"UP": (0.06, 0.08)}), settings=load_settings().signals, discoveries=nobody).signals
    assert row["reason"].to_list() == ["not_among_discoveries"]
    assert "it has no test of its own" in row["rule"][0]


@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_without_any_edge_at_most_one_night_in_ten_has_a_discovery(tails: str) -> None:
    """431 tickers of 16 origins each, whose losses differ from no change's by chance alone; 100 nights.

    If a night has a discovery with a probability of 10%, more than 20 of 100 have one with a probability of 0.1%.
    """
    rng = np.random.default_rng(12)
    nights = 0
    for _ in range(100):
        shape = (431, 16)
        gains = rng.standard_normal(shape) if tails == "normal" else rng.standard_t(3, shape)
        p_values = [diebold_mariano(own, alternative="greater").p_value for own in gains]
        weights = pl.DataFrame(
            {
                "ticker": [f"T{place:03d}" for place in range(431)],
                "model": "ensemble",
                "verdict": ["edge" if p_value < 0.05 else "no edge" for p_value in p_values],
                "evidence": "own",
                "dm_p_value": p_values,
            }
        )
        assert (weights["verdict"] == "edge").sum() > 5  # of which about 21 are to be expected
        nights += edge_discoveries(weights, 0.1)["discovered"].any()
    assert nights <= 20
