"""Print how good forecasts were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.cli.show import say, show_frame

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["show_evaluation"]

_LEADERS = """
SELECT step, place, model, forecasts, relative_rmse AS "RMSE", relative_crps AS "CRPS", gain_t AS "t of RMSE",
       crps_gain_t AS "t of CRPS"
FROM model_leaderboard WHERE basis = ? ORDER BY step, place
"""

_COVERAGE = """
SELECT step, coalesce(value, 'all') AS regime, max(forecasts) AS forecasts,
       max(coverage) FILTER (level = 0.5) AS "50%", max(coverage) FILTER (level = 0.8) AS "80%",
       max(coverage) FILTER (level = 0.9) AS "90%", max(coverage) FILTER (level = 0.95) AS "95%"
FROM interval_coverage WHERE basis = ? AND model = 'ensemble' AND slice IN ('all', 'regime')
GROUP BY step, value ORDER BY step, value IS NOT NULL, list_position(['low', 'middle', 'high'], value)
"""

_VERDICTS = """
SELECT verdict, count(*) AS nights FROM model_weights
WHERE run_id = ? AND model = 'ensemble' GROUP BY verdict ORDER BY verdict
"""

_VOLATILITY = """
SELECT step, model, forecasts, qlike, variance_ratio FROM volatility_scores WHERE basis = ? ORDER BY step, qlike
"""


def show_evaluation(lake: Lake, run_id: str) -> None:
    """Print an evaluation: the models' ranks, the ensemble's coverage, its verdicts, and the volatilities' scores."""
    ratios = {"RMSE": ".4f", "CRPS": ".4f", "t of RMSE": "+.1f", "t of CRPS": "+.1f", "forecasts": ",d"}
    say("")
    show_frame(
        lake.query(_LEADERS, [run_id]),
        formats=ratios,
        title="Errors over those of the martingale of constant volatility: below 1 is better",
    )
    say("")
    show_frame(
        lake.query(_COVERAGE, [run_id]),
        formats={"forecasts": ",d", **dict.fromkeys(("50%", "80%", "90%", "95%"), ".1%")},
        title="How often the ensemble's intervals held what came, by regime of volatility",
    )
    say("")
    show_frame(
        lake.query(_VOLATILITY, [run_id]),
        formats={"forecasts": ",d", "qlike": ".4f", "variance_ratio": ".3f"},
        title="Volatility: QLIKE, smaller is better",
    )
    verdicts = ", ".join(f"{nights:,} {verdict}" for verdict, nights in lake.query(_VERDICTS, [run_id]).iter_rows())
    say("", f"Of all tickers on all dates: {verdicts}.", "More: pm sql 'from forecast_scores'; evaluations are kept.")
