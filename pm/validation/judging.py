"""Judge all trials of a lake, those together that have returns on the same sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.statistics.performance import performance
from pm.tables.validation import OVERFITTING_TESTS, TRIAL_TESTS
from pm.tables.vocabulary import TrialState
from pm.validation.ledger import check_known
from pm.validation.verdicts import judge_trials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.settings import ValidationSettings
    from pm.typing import DateArray, FloatArray
    from pm.validation.verdicts import Judgements

__all__ = ["trial_tests"]

MIN_SHARED = 0.9
"""Share of a trial's sessions on which trials that it is compared with must have returns."""


def trial_tests(
    trials: Mapping[str, Mapping[str, Any]], returns: pl.DataFrame, settings: ValidationSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of tables `trial_tests` and `overfitting_tests`, but for run_id and snapshot_id.

    A trial is compared with all that have returns on at least nine tenths of its sessions, on those that all of them
    share, every one less the benchmark of this trial: a trial of today has a session more than one of yesterday.

    Parameters
    ----------
    trials
        Newest row of table `trials` of each trial ever started, by its name.
    returns
        Table `trial_returns`.
    settings
        Section `validation`.

    Raises
    ------
    AuditError
        A trial has returns and no row: it was removed, and would not count.
    """
    check_known(trials, returns["trial_id"])
    series = {
        trial: _Series(rows)
        for (trial,), rows in returns.sort("trial_id", "date").partition_by("trial_id", as_dict=True).items()
        if trials[trial]["state"] == TrialState.DONE
    }
    groups: dict[tuple[bytes, bytes], list[str]] = {}
    for trial, own in series.items():
        groups.setdefault((own.dates.tobytes(), own.benchmark.tobytes()), []).append(trial)
    tests: list[dict[str, Any]] = []
    splits: list[dict[str, Any]] = []
    for members in groups.values():
        first = series[members[0]]
        compared, shared = _compared(first.dates, series)
        benchmark = first.benchmark[np.isin(first.dates, shared)]
        excess = np.column_stack([series[trial].on(shared) - benchmark for trial in compared])
        for place, trial in enumerate(compared):
            if not trials[trial]["fills"]:
                excess[:, place] = np.nan
        places = [compared.index(trial) for trial in members]
        judged = judge_trials(
            excess,
            places,
            trials=len(trials) + settings.prior_trials,
            whole={
                place: series[trial].net - first.benchmark
                for place, trial in zip(places, members, strict=True)
                if trials[trial]["fills"]
            },
            without_costs=[place for place, trial in enumerate(compared) if trials[trial]["cost"] == 0],
            reps=settings.bootstrap,
            seed=settings.seed,
        )
        tests += _test_rows(members, series, judged)
        splits += _split_rows(members, series, judged)
    return _frame(tests, TRIAL_TESTS.polars_schema), _frame(splits, OVERFITTING_TESTS.polars_schema)


def _compared(dates: DateArray, series: Mapping[str, _Series]) -> tuple[list[str], DateArray]:
    """Return the trials that have most of these sessions, in their order, and the sessions that all of them have.

    Those with the most sessions come first: each is taken if what remains shared is at least `MIN_SHARED` of all.
    """
    counts = {trial: int(np.isin(dates, own.dates).sum()) for trial, own in series.items()}
    shared, taken = dates, set[str]()
    for trial in sorted(counts, key=lambda trial: -counts[trial]):
        remaining = shared[np.isin(shared, series[trial].dates)]
        if len(remaining) >= MIN_SHARED * len(dates):
            shared = remaining
            taken.add(trial)
    return [trial for trial in series if trial in taken], shared


class _Series:
    """Daily returns of a trial and of its benchmark."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.dates: DateArray = rows["date"].to_numpy().astype("datetime64[D]")
        self.net: FloatArray = rows["net"].to_numpy()
        self.benchmark: FloatArray = rows["benchmark"].to_numpy()

    def on(self, dates: DateArray) -> FloatArray:
        """Return the net returns on these dates."""
        return np.asarray(self.net[np.searchsorted(self.dates, dates)])


def _test_rows(members: list[str], series: Mapping[str, _Series], judged: Judgements) -> list[dict[str, Any]]:
    spread = [one.probability for one in judged.overfitting]
    rows = []
    for trial, own in zip(members, judged.of, strict=True):
        made, benchmark = performance(series[trial].net), performance(series[trial].benchmark)
        rows.append(
            {
                "trial_id": trial,
                "verdict": own.verdict.value,
                "reasons": " ".join(own.reasons),
                "days": made.observations,
                "annual_return": made.annual_return,
                "annual_benchmark": benchmark.annual_return,
                "sharpe": own.sharpe.ratio,
                "annual_sharpe": own.annual_sharpe,
                "annual_error": own.annual_error,
                "lower": own.lower,
                "upper": own.upper,
                "block": own.block,
                "probabilistic": own.probabilistic,
                "minimum_record": own.minimum_record,
                "deflated": own.deflated,
                "deflated_effective": own.deflated_effective,
                "trials": judged.trials,
                "effective_trials": judged.effective_trials,
                "compared": judged.compared,
                "superior_p": judged.superior_p,
                "superior": own.is_superior,
                "overfitting": judged.median_overfitting,
                "overfitting_low": min(spread, default=None),
                "overfitting_high": max(spread, default=None),
                "cutoff": series[trial].dates[-1].item(),
            }
        )
    return rows


def _split_rows(members: list[str], series: Mapping[str, _Series], judged: Judgements) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial,
            "blocks": one.blocks,
            "trials": judged.compared,
            "splits": len(one.logits),
            "probability": one.probability,
            "degradation": one.degradation,
            "loss": one.loss,
            "cutoff": series[trial].dates[-1].item(),
        }
        for trial in members
        for one in judged.overfitting
    ]


def _frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Return rows as a frame in which a number that is not finite is null."""
    kept = {name: dtype for name, dtype in schema.items() if name not in {"run_id", "snapshot_id"}}
    frame = pl.DataFrame(rows, schema=kept, infer_schema_length=None)
    finite = [
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
        for name, dtype in kept.items()
        if dtype == pl.Float64
    ]
    return frame.with_columns(finite)
