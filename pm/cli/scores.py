"""Print how good forecasts were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.cli.show import say, show_frame

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["show_evaluation"]

_LEADERS = """
SELECT step, place, model, forecasts, dates, relative_rmse AS "RMSE", relative_crps AS "CRPS",
       CASE WHEN dates >= 8 THEN gain_t END AS "t of RMSE", CASE WHEN dates >= 8 THEN crps_gain_t END AS "t of CRPS"
FROM model_leaderboard WHERE basis = ? AND slice = 'all' ORDER BY step, place NULLS LAST, model
"""

_COVERAGE = """
SELECT step, coalesce(value, 'all') AS regime, max(forecasts) AS forecasts,
       max(coverage) FILTER (level = 0.5) AS "50%", max(coverage) FILTER (level = 0.8) AS "80%",
       max(coverage) FILTER (level = 0.9) AS "90%", max(lower) FILTER (level = 0.9) AS "90% from",
       max(upper) FILTER (level = 0.9) AS "to", max(coverage) FILTER (level = 0.95) AS "95%"
FROM interval_coverage WHERE basis = ? AND model = 'ensemble' AND slice IN ('all', 'regime')
GROUP BY step, value ORDER BY step, value IS NOT NULL, list_position(['low', 'middle', 'high'], value)
"""

_VOLATILITY = """
SELECT step, model AS "model, window", forecasts, qlike AS "QLIKE", variance_ratio AS "came / foretold"
FROM volatility_scores WHERE basis = ? AND slice = 'all' ORDER BY step, round(qlike, 9), model
"""

_EDGES = """
SELECT count(*) FILTER (verdict = 'edge'), count(*) FROM model_weights WHERE run_id = ? AND model = 'ensemble'
"""

_BREAKS = """
SELECT DISTINCT ticker FROM forecast_outcomes
WHERE basis = ? AND model = 'ensemble' AND abs(error) > 25 * sigma ORDER BY ticker
"""

_LEFT_OUT = "SELECT count(DISTINCT ticker) FROM exclusions WHERE run_id = ?"

_NAMED = 5
"""Tickers named in a sentence, at most."""


def show_evaluation(lake: Lake, run_id: str) -> None:
    """Print an evaluation: the models' ranks, the ensemble's coverage, volatilities' scores, and how to read them."""
    leaders = lake.query(_LEADERS, [run_id])
    if leaders.is_empty():
        say("", "No ticker could be forecast from any of the dates.")
        _say_what_distorts(lake, run_id)
        return
    say("", "Errors over the martingale's (no change, constant volatility): below 1 is better")
    show_frame(
        leaders,
        formats={
            **dict.fromkeys(("forecasts", "dates"), ",d"),
            **dict.fromkeys(("RMSE", "CRPS"), ".4f"),
            **dict.fromkeys(("t of RMSE", "t of CRPS"), "+.1f"),
        },
    )
    say(
        "RMSE judges the mean, CRPS the whole distribution. naive: no change, with the",
        "day's volatility. A t beyond 2 is hardly chance; below 8 dates none is told.",
        "",
        "How often the ensemble's intervals held what came, by regime of volatility",
    )
    rates = ("50%", "80%", "90%", "90% from", "to", "95%")
    show_frame(lake.query(_COVERAGE, [run_id]), formats={"forecasts": ",d", **dict.fromkeys(rates, ".1%")})
    say(
        "A share should be what its column is named. From so many outcomes, that of 90%",
        "is known to lie within `90% from` and `to`, if they are independent.",
        "",
        "Volatility: a smaller QLIKE is better; above 1, more came than was foretold",
    )
    show_frame(
        lake.query(_VOLATILITY, [run_id]),
        formats={"forecasts": ",d", "QLIKE": ".4g", "came / foretold": ".4g"},
    )
    ((edges, asked),) = lake.query(_EDGES, [run_id]).iter_rows()
    say(
        "",
        f"An edge over no change was claimed in {edges:,} of {asked:,} cases (a ticker on a",
        "date); in the others the ensemble's forecast is no change.",
    )
    _say_what_distorts(lake, run_id)
    query = f"from forecast_scores where basis = '{run_id}'"
    say("By month, ticker and regime:", f'  pm sql "{query}"')


def _say_what_distorts(lake: Lake, run_id: str) -> None:
    """Name the tickers whose prices broke, and count those that were not served in full."""
    broken = lake.query(_BREAKS, [run_id])["ticker"].to_list()
    if broken:
        named = ", ".join(broken[:_NAMED]) + (f" and {len(broken) - _NAMED:,} more" if len(broken) > _NAMED else "")
        say(
            f"Moved by more than 25 times what was foretold, and weigh on every mean above: {named}.",
            "Is a split not adjusted for? See: pm sql 'from bar_flags'",
        )
    left_out: int = lake.query(_LEFT_OUT, [run_id]).item()
    if left_out:
        said = "ticker was" if left_out == 1 else "tickers were"
        query = f"from exclusions where run_id = '{run_id}'"
        say(f"{left_out:,} {said} left out, or served in a lesser way:", f'  pm sql "{query}"')
