"""What the returns of trials prove: a verdict for each, with the numbers that it rests on and its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.plural import plural
from pm.statistics.overfitting import overfitting_by_blocks
from pm.statistics.performance import SESSIONS_A_YEAR
from pm.statistics.sharpe import (
    Sharpe,
    annualisation,
    deflated_sharpe,
    effective_number,
    hac_error,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_of,
)
from pm.tables.vocabulary import Proof
from pm.validation.snooping import superior_ability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray

__all__ = ["TrialVerdict", "trial_verdicts"]

DEFLATED = 0.95
"""Deflated Sharpe ratio that a proof needs to exceed."""
SIGNIFICANCE = 0.05
"""Significance level of the test for superior ability, and of being worse than the benchmark."""
OVERFITTING = 0.5
"""Probability of overfitting that a proof must stay below."""
MIN_OBSERVATIONS = 30
"""Minimum number of returns to judge."""
CLONES = 0.999
"""Correlation from which two trials count as copies of each other."""


@dataclass(frozen=True)
class TrialVerdict:
    """What a trial's returns over its benchmark prove.

    Attributes
    ----------
    verdict
        Proven, not proven, or worse than the benchmark.
    reasons
        Why, in sentences: what is missing for a proof, or what limits the numbers.
    sharpe
        Sharpe ratio per observation, with its moments.
    annual_sharpe, annual_error
        Sharpe ratio per year and its standard error, both corrected for autocorrelation. NaN if not defined.
    probabilistic
        Probability that the true ratio is above 0, as if this were the only trial.
    minimum_record
        Number of observations from which that probability would be 95%, were the ratio the true one.
    deflated, deflated_effective
        Probability that the ratio is above what the best of all trials would have by luck, at the number of all trials
        and at their effective number. The verdict uses the first.
    trials, effective_trials
        Number of trials ever run, those run elsewhere included, and their effective number.
    superior_p
        p-value of the test for superior predictive ability over all trials that cover the same dates.
    is_superior
        Whether the stepwise test names this trial.
    overfitting, overfitting_low, overfitting_high
        Probability of overfitting: median over numbers of blocks, smallest, largest. NaN for a single trial.
    compared
        Number of trials that cover the dates of this one, itself included.
    """

    verdict: Proof
    reasons: tuple[str, ...]
    sharpe: Sharpe
    annual_sharpe: float
    annual_error: float
    probabilistic: float
    minimum_record: float
    deflated: float
    deflated_effective: float
    trials: int
    effective_trials: float
    superior_p: float
    is_superior: bool
    overfitting: float
    overfitting_low: float
    overfitting_high: float
    compared: int


def trial_verdicts(excess: FloatArray, chosen: Sequence[int], *, trials: int, seed: int) -> list[TrialVerdict]:
    """Judge trials by their returns over the benchmark, given everything that was tried.

    Parameters
    ----------
    excess
        Returns over the benchmark on the sessions of the trials to judge, shape (observations, trials): one column for
        each trial that has all of these sessions.
    chosen
        Columns of the trials to judge.
    trials
        Number of trials ever run, also those without these sessions, those that were killed, and those run elsewhere.
    seed
        Random seed of the bootstrap.

    Notes
    -----
    The variance of the trials' ratios, from which the bar of luck follows, is never taken to be below that of noise,
    1/n: copies of one trial would lower it.
    """
    n, columns = excess.shape
    found = [sharpe_of(excess[:, column]) for column in range(columns)]
    ratios = np.array([one.ratio for one in found])
    defined = np.flatnonzero(np.isfinite(ratios))
    trials = max(trials, columns)
    variance = max(float(ratios[defined].var(ddof=1)) if len(defined) > 1 else 0.0, 1 / max(n, 1))
    effective = _effective(excess[:, defined]) * trials / max(1, len(defined))
    cloned = _clones(excess[:, defined])
    enough = n >= MIN_OBSERVATIONS and len(defined) > 0
    snooped = superior_ability(excess[:, defined], seed=seed) if enough else None
    spread = [one.probability for one in overfitting_by_blocks(excess[:, defined])] if len(defined) > 1 else []
    verdicts = []
    for column in chosen:
        sharpe = found[column]
        one = excess[:, column]
        deflated, _ = deflated_sharpe(sharpe, trials=trials, variance=variance)
        is_superior = (
            snooped is not None and column in defined and bool(snooped.superior[int(np.searchsorted(defined, column))])
        )
        middle = float(np.median(spread)) if spread else float("nan")
        p_value = float("nan") if snooped is None else snooped.p_value
        factor = annualisation(one, SESSIONS_A_YEAR) if math.isfinite(sharpe.ratio) else float("nan")
        verdict, reasons = _verdict(sharpe, one, deflated, p_value, is_superior=is_superior, overfitting=middle)
        if cloned:
            reasons += (_clone_warning(cloned, columns),)
        verdicts.append(
            TrialVerdict(
                verdict,
                reasons,
                sharpe,
                sharpe.ratio * factor,
                hac_error(one) * math.sqrt(SESSIONS_A_YEAR),
                probabilistic_sharpe(sharpe),
                minimum_track_record(sharpe),
                deflated,
                deflated_sharpe(sharpe, trials=effective, variance=variance)[0],
                trials,
                effective,
                p_value,
                is_superior,
                middle,
                min(spread, default=float("nan")),
                max(spread, default=float("nan")),
                columns,
            )
        )
    return verdicts


def _verdict(
    sharpe: Sharpe, excess: FloatArray, deflated: float, p_value: float, *, is_superior: bool, overfitting: float
) -> tuple[Proof, tuple[str, ...]]:
    if not math.isfinite(sharpe.ratio):
        why = "There are fewer than two returns" if len(excess) < 2 else "It never differed from its benchmark"
        return Proof.NOT_PROVEN, (f"{why}, so that it has no Sharpe ratio.",)
    if len(excess) < MIN_OBSERVATIONS:
        return Proof.NOT_PROVEN, (f"{plural(len(excess), 'return')} prove nothing; {MIN_OBSERVATIONS} are needed.",)
    error = hac_error(excess)
    if error > 0 and sharpe.ratio / error < -1.645:
        return Proof.WORSE, (f"Its return is below the benchmark's by {-sharpe.ratio / error:.1f} standard errors.",)
    reasons = []
    if not deflated > DEFLATED:
        reasons.append(
            f"The probability that this is more than the luck of the best trial is {deflated:.1%}; a proof needs "
            f"{DEFLATED:.0%}."
        )
    if not p_value < SIGNIFICANCE:
        reasons.append(f"Among all trials none is better than the benchmark beyond chance (p = {p_value:.2f}).")
    elif not is_superior:
        reasons.append("Another trial is better than the benchmark beyond chance, this one is not.")
    if overfitting >= OVERFITTING:
        reasons.append(f"Choosing the best of these trials is overfitting with a probability of {overfitting:.0%}.")
    if reasons:
        longer = minimum_track_record(sharpe)
        if sharpe.ratio > 0 and longer > len(excess):
            reasons.append(
                f"Were its ratio the true one, {longer / SESSIONS_A_YEAR:,.1f} years would be needed to tell it from 0 "
                f"as the only trial; there are {len(excess) / SESSIONS_A_YEAR:,.1f}."
            )
        return Proof.NOT_PROVEN, tuple(reasons)
    return Proof.PROVEN, ()


def _clone_warning(cloned: int, trials: int) -> str:
    return (
        f"{plural(cloned, 'trial')} of {trials} repeat another: the probability of overfitting and the test over all "
        "trials say less than their number suggests."
    )


def _correlation(excess: FloatArray) -> FloatArray:
    centred = excess - excess.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(norm > 0, norm, 1.0)
    return np.asarray(scaled.T @ scaled)


def _effective(excess: FloatArray) -> float:
    return effective_number(_correlation(excess)) if excess.shape[1] > 1 and len(excess) > 1 else float(excess.shape[1])


def _clones(excess: FloatArray) -> int:
    """Return the number of trials that repeat one before them."""
    if excess.shape[1] < 2 or len(excess) < 2:
        return 0
    alike = np.triu(_correlation(excess) > CLONES, 1)
    return int(alike.any(axis=0).sum())
