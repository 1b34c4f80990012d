"""Judge signals, forecasts, risk and accounts by what happened after the nights that were really run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.plural import plural
from pm.statistics.discoveries import q_values
from pm.statistics.regression import newey_west_lags
from pm.tables.track import VALIDATIONS
from pm.tables.vocabulary import Judgement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from pm.typing import FloatArray

__all__ = [
    "MIN_DATES",
    "MIN_RETURNS",
    "PIT_MIDDLES",
    "Finding",
    "compared",
    "excess_finding",
    "forecast_findings",
    "independent_dates",
    "mean_test",
    "risk_findings",
    "validation_rows",
]

SIGNIFICANCE = 0.05
"""Largest expected share of wrong verdicts among those of a night that say more than 'holds' or 'not better'."""
MIN_DATES = 8
"""Minimum number of dates whose windows do not overlap for a t statistic to mean anything."""
MIN_RETURNS = 60
"""Minimum number of daily returns of an account to be judged (one quarter)."""


_STEPS = (1, 5)
"""Steps at which forecasts are tested, besides the last: those between say nearly the same as these."""
_LEVELS = (0.0, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 1.0)
PIT_MIDDLES = tuple((lower + upper) / 2 for lower, upper in pairwise(_LEVELS))
"""Middle, in probability, of each pair of neighbouring quantiles of a forecast, from the lowest."""
_PIT_VARIANCE = sum((upper - lower) * ((lower + upper) / 2 - 0.5) ** 2 for lower, upper in pairwise(_LEVELS))
"""Variance of these middles if the distributions are right: a little less than 1/12."""


@dataclass(frozen=True)
class Finding:
    """A test, before its p-value is adjusted for the number of tests.

    Attributes
    ----------
    subject, measure, part, outcomes, independent, value, reference, due
        See table `validations`.
    statistic, p_value
        Two-sided test of `value` against `reference`; NaN if there are too few outcomes.
    is_claim
        Whether `reference` is what was said, such as a probability, so that a difference refutes it. If not, it is what
        has to be beaten, and a positive statistic is better.
    needed
        What the test needs, in words.
    """

    subject: str
    measure: str
    part: str
    outcomes: int
    independent: int
    value: float
    reference: float
    statistic: float
    p_value: float
    is_claim: bool
    needed: str
    due: date | None = None


def independent_dates(dates: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose windows do not overlap: in order, each that is not before the end of the one kept before.

    Parameters
    ----------
    dates
        Columns origin (date that a window starts from) and known (date of its last outcome), and others; one row per
        origin.
    """
    kept: list[bool] = []
    end: date | None = None
    ordered = dates.sort("origin")
    for origin, known in ordered.select("origin", "known").iter_rows():
        kept.append(end is None or origin >= end)
        end = known if kept[-1] else end
    return ordered.filter(pl.Series(kept, dtype=pl.Boolean))


def mean_test(values: FloatArray, *, lags: int = 0) -> tuple[float, float]:
    """Return the t statistic of a mean and its two-sided p-value by Student's t.

    Values that are all alike prove nothing: both are NaN then, or 0 and 1 if all are 0.

    Parameters
    ----------
    values
        Shape (observations,).
    lags
        Number of lags of the Newey-West variance, with Bartlett's weights; 0 for independent values.
    """
    from scipy.special import stdtr

    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    if not values.any():
        return 0.0, 1.0
    mean = float(values.mean())
    centred = values - mean
    variance = float(centred @ centred) / (n - 1)
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag]) / (n - 1)
    if math.sqrt(max(0.0, variance)) <= 1e-9 * float(np.abs(values).max()):
        return float("nan"), float("nan")
    t = mean / math.sqrt(variance / n)
    return t, float(2.0 * stdtr(n - 1, -abs(t)))


def excess_finding(
    subject: str,
    measure: str,
    part: str,
    daily: pl.DataFrame,
    *,
    is_claim: bool,
    due: date | None,
) -> Finding:
    """Return the test of what was realised on the dates whose windows do not overlap.

    Parameters
    ----------
    daily
        Columns origin, known, outcomes (their number), value and reference (their means on the date); one row per
        origin, perhaps none. `value` minus `reference` is tested; of something to be beaten, the larger is the better.
    """
    outcomes = int(daily["outcomes"].sum())
    kept = independent_dates(daily)
    excess = (kept["value"] - kept["reference"]).to_numpy()
    enough = len(excess) >= MIN_DATES
    t, p_value = mean_test(excess) if enough else (float("nan"), float("nan"))
    weights = daily["outcomes"].to_numpy()

    def mean(name: str) -> float:
        return float(np.average(daily[name].to_numpy(), weights=weights)) if outcomes else float("nan")

    return Finding(
        subject, measure, part, outcomes, len(excess), mean("value"), mean("reference"), t, p_value,
        is_claim=is_claim, needed=_needed(f"{MIN_DATES} dates whose windows do not overlap", enough=enough), due=due,
    )  # fmt: skip


def compared(account: str, returns: FloatArray, benchmark: FloatArray) -> Finding:
    """Return the test of an account's daily returns against those of 1/N on the same days, with Newey-West's variance.

    Parameters
    ----------
    returns, benchmark
        Simple returns, shape (days,).
    """
    n = len(returns)
    enough = n >= MIN_RETURNS
    t, p_value = mean_test(returns - benchmark, lags=newey_west_lags(n)) if enough else (float("nan"), float("nan"))
    total, base = (float(np.prod(1 + values) - 1) if n else float("nan") for values in (returns, benchmark))
    return Finding(
        "account", "return against 1/N", account, n, n, total, base, t, p_value,
        is_claim=False, needed=_needed(f"{MIN_RETURNS} daily returns", enough=enough),
    )  # fmt: skip


def forecast_findings(daily: pl.DataFrame, due: date | None) -> list[Finding]:
    """Return the tests of forecasts at some steps: the 90% interval, whether the PIT is uniform, and the martingale.

    The probability integral transform (PIT) is uniform if the distributions are right. It is tested by its mean and by
    its spread around one half, as Knueppel (2015) tests moments: a mean above 0.5 says that prices came out higher than
    forecast, a spread above 1 that the distributions were too narrow.

    Parameters
    ----------
    daily
        Columns step, origin, is_last (whether it is the last step of a run), known, outcomes, inside, gain, pit (mean
        of `PIT_MIDDLES`) and pit_square (mean of their squared distance from 0.5); one row per step and origin.

    References
    ----------
    Knueppel, M. (2015), Evaluating the calibration of multi-step-ahead density forecasts using raw moments, Journal of
    Business & Economic Statistics 33(2).
    """
    found = []
    tested = sorted(set(daily.filter(pl.col("step").is_in(_STEPS) | pl.col("is_last"))["step"]))
    for step in tested or [None]:
        own = daily.filter(pl.col("step") == step) if step is not None else daily
        part = "" if step is None else plural(step, "session")
        for measure, value, reference in (
            ("share inside the 90% interval", pl.col("inside"), 0.9),
            ("mean of the PIT", pl.col("pit"), 0.5),
            ("spread of the PIT", pl.col("pit_square") / _PIT_VARIANCE, 1.0),
        ):
            rows = own.with_columns(value=value, reference=pl.lit(reference))
            found.append(excess_finding("forecasts", measure, part, rows, is_claim=True, due=due))
        # In units of the martingale's sigma, in which calm and restless tickers count alike; its own score is 0.
        gain = own.with_columns(value="gain", reference=pl.lit(0.0)).drop_nulls("value")
        found.append(excess_finding("forecasts", "CRPS gain on the martingale", part, gain, is_claim=False, due=due))
    return found


def risk_findings(tests: pl.DataFrame, due: date | None) -> list[Finding]:
    """Return the tests of value at risk, those of view `risk_backtest`: that it is exceeded as often as it says.

    Parameters
    ----------
    tests
        Columns portfolio, horizon, level, forecasts, exceptions, share, kupiec, kupiec_p.
    """
    found = []
    for row in tests.sort("portfolio", "horizon", "level").iter_rows(named=True):
        # With fewer, not even one exception is expected, and none says nothing.
        needed = math.ceil(1 / (1 - row["level"]) - 1e-9)
        enough = row["forecasts"] >= max(MIN_DATES, needed)
        found.append(
            Finding(
                "risk",
                "share of losses above the value at risk",
                f"{row['portfolio']}, {row['level']:.4g}, {plural(row['horizon'], 'session')}",
                row["forecasts"],
                row["forecasts"],
                row["share"],
                1 - row["level"],
                row["kupiec"] if enough else float("nan"),
                row["kupiec_p"] if enough else float("nan"),
                is_claim=True,
                needed=f"{max(MIN_DATES, needed)} forecasts whose windows do not overlap",
                due=due,
            )
        )
    if not found:
        found.append(_nothing("risk", "share of losses above the value at risk", due))
    return found


def _needed(number: str, *, enough: bool) -> str:
    return "outcomes that are not all alike" if enough else number


def _nothing(subject: str, measure: str, due: date | None) -> Finding:
    nan = float("nan")
    return Finding(subject, measure, "", 0, 0, nan, nan, nan, nan, is_claim=True, needed="an outcome", due=due)


def validation_rows(findings: Sequence[Finding]) -> pl.DataFrame:
    """Return the rows of table `validations` without its stamp, p-values adjusted for the number of tests."""
    tested = [finding for finding in findings if math.isfinite(finding.p_value)]
    adjusted = dict(zip(map(id, tested), q_values([one.p_value for one in tested]).tolist(), strict=True))
    return pl.DataFrame(
        list(_rows(findings, [adjusted.get(id(finding), float("nan")) for finding in findings])),
        schema=VALIDATIONS.unstamped_schema,
        infer_schema_length=None,
    )


def _rows(findings: Sequence[Finding], adjusted: Sequence[float]) -> Iterable[dict[str, Any]]:
    for finding, q_value in zip(findings, adjusted, strict=True):
        verdict, reason = _verdict(finding, q_value)
        numbers = {
            "value": finding.value,
            "reference": finding.reference,
            "statistic": finding.statistic,
            "p_value": finding.p_value,
            "q_value": q_value,
        }
        yield {
            "subject": finding.subject,
            "measure": finding.measure,
            "part": finding.part,
            "outcomes": finding.outcomes,
            "independent": finding.independent,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "verdict": verdict.value,
            "reason": reason,
            "due": finding.due,
        }


def _verdict(finding: Finding, q_value: float) -> tuple[Judgement, str]:
    there = f"{plural(finding.outcomes, 'outcome')} so far"
    due = f"; the next is due on {finding.due}" if finding.due is not None else ""
    if not finding.outcomes:
        return Judgement.TOO_EARLY, f"No outcome so far{due}."
    numbers = f"{finding.value:.4g} where {finding.reference:.4g} was "
    numbers += "said" if finding.is_claim else "to be beaten"
    if not math.isfinite(finding.p_value):
        counted = f", {finding.independent:,} of which count" if finding.independent < finding.outcomes else ""
        return Judgement.TOO_EARLY, f"{there}{counted}; the test needs {finding.needed}{due}."
    test = f"{numbers}; {there}, p = {finding.p_value:.3f}, adjusted for the tests of the night {q_value:.3f}."
    test = test[0].upper() + test[1:]
    if q_value <= SIGNIFICANCE:
        if finding.is_claim:
            return Judgement.REFUTED, test
        return (Judgement.BETTER if finding.statistic > 0 else Judgement.WORSE), test
    return (Judgement.HOLDS if finding.is_claim else Judgement.NOT_BETTER), test
