"""What the returns of trials prove: a verdict for each, with the numbers that it rests on and its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.plural import plural
from pm.sessions import SESSIONS_PER_YEAR
from pm.statistics.overfitting import overfitting_by_blocks
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
from pm.validation.snooping import MIN_OBSERVATIONS, block_length, sharpe_interval, superior_ability

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pm.statistics.overfitting import Overfitting
    from pm.typing import FloatArray, IntArray

__all__ = ["Judgement", "Judgements", "judge_trials"]

DEFLATED = 0.95
"""Deflated Sharpe ratio that a proof needs to exceed."""
SIGNIFICANCE = 0.05
"""Significance level of the test for superior ability."""
WORSE_ERRORS = 1.645
"""Number of standard errors below the benchmark from which a trial is worse: 5% on one side."""
OVERFITTING = 0.5
"""Probability of overfitting that a proof must stay below."""
CLONES = 0.999
"""Correlation from which two trials count as copies of each other."""


@dataclass(frozen=True)
class Judgement:
    """What a trial's returns over its benchmark prove. A number that is not defined is NaN.

    Attributes
    ----------
    verdict
        Proven, not proven, or worse than the benchmark.
    reasons
        Why, in sentences: what is missing for a proof, or what limits the numbers.
    sharpe
        Sharpe ratio per observation, with its moments.
    annual_sharpe, annual_error
        Sharpe ratio per year and its standard error, both corrected for autocorrelation.
    lower, upper, block
        Ends of the 95% interval of the ratio per year by the stationary bootstrap, and the mean length of its blocks.
    probabilistic
        Probability that the true ratio is above 0, as if this were the only trial.
    minimum_record
        Number of observations from which that probability would be 95%, were the ratio the true one.
    deflated, deflated_effective
        Probability that the ratio is above what the best of all trials would have by luck, at the number of all trials
        and at their effective number. The verdict uses the first.
    is_superior
        Whether the stepwise test names this trial.
    """

    verdict: Proof
    reasons: tuple[str, ...]
    sharpe: Sharpe
    annual_sharpe: float
    annual_error: float
    lower: float
    upper: float
    block: float
    probabilistic: float
    minimum_record: float
    deflated: float
    deflated_effective: float
    is_superior: bool


@dataclass(frozen=True)
class Judgements:
    """Judgements of trials over the same sessions, and what they have in common.

    Attributes
    ----------
    of
        The judgement of each chosen trial.
    trials, effective_trials
        Number of trials ever run, those run elsewhere included, and their effective number.
    compared
        Number of trials that are compared with each other, on the sessions that they share.
    superior_p
        p-value of the test for superior predictive ability over them.
    overfitting
        Probability of overfitting for each number of blocks; empty for fewer than two trials.
    """

    of: tuple[Judgement, ...]
    trials: int
    effective_trials: float
    compared: int
    superior_p: float
    overfitting: tuple[Overfitting, ...]

    @property
    def median_overfitting(self) -> float:
        """Median of the probability of overfitting over the numbers of blocks."""
        return _median_overfitting(self.overfitting)


def judge_trials(
    excess: FloatArray,
    chosen: Sequence[int],
    *,
    trials: int,
    whole: Mapping[int, FloatArray] | None = None,
    without_costs: Collection[int] = (),
    reps: int = 1000,
    seed: int,
) -> Judgements:
    """Judge trials by their returns over the benchmark, given everything that was tried.

    Parameters
    ----------
    excess
        Returns over the benchmark on the sessions that the trials share, shape (observations, trials): one column for
        each trial that is compared. NaN throughout for a trial that made no trade.
    chosen
        Columns of the trials to judge.
    trials
        Number of trials ever run, also those without these sessions, those that were killed, and those run elsewhere.
    whole
        Returns over the benchmark of chosen trials on all of their own sessions, by column, where these are more than
        those shared. The ratio of a trial and its errors are of these.
    without_costs
        Columns of trials that were computed without costs: they prove nothing.
    reps
        Number of samples of the bootstrap.
    seed
        Random seed of the bootstrap.

    Notes
    -----
    The variance of the trials' ratios, from which the ratio of the luckiest follows, is never taken to be below that of
    noise, 1/n, or of the trial's own error under autocorrelation, since the spread of trials that were run elsewhere is
    not known. Exact copies of a trial count once in it and in the probability of overfitting: choosing among copies is
    no choice.
    """
    n, columns = excess.shape
    traded = np.asarray(np.isfinite(excess).all(axis=0))
    found = [sharpe_of(excess[:, column] if traded[column] else np.empty(0)) for column in range(columns)]
    ratios = np.array([one.ratio for one in found])
    defined = np.flatnonzero(np.isfinite(ratios))
    used = excess[:, defined]
    trials = max(trials, columns)
    distinct = _distinct(used)
    spread_of_ratios = float(ratios[defined[distinct]].var(ddof=1)) if len(distinct) > 1 else 0.0
    effective = _effective(used) * trials / max(1, len(defined))
    cloned = _clones(used)
    snooped = superior_ability(used, reps=reps, seed=seed) if n >= MIN_OBSERVATIONS and len(defined) else None
    p_value = float("nan") if snooped is None else snooped.p_value
    spread = tuple(overfitting_by_blocks(used[:, distinct])) if len(distinct) > 1 else ()
    judged = []
    for column in chosen:
        one = excess[:, column] if whole is None else whole.get(column, excess[:, column])
        sharpe = found[column] if one.shape == (n,) else sharpe_of(one if traded[column] else np.empty(0))
        if not math.isfinite(sharpe.ratio) or len(one) < MIN_OBSERVATIONS:
            judged.append(_undefined(one, traded=bool(traded[column])))
            continue
        error = hac_error(one)
        variance = max(spread_of_ratios, 1 / max(n, 1), error**2)
        deflated, luck = deflated_sharpe(sharpe, trials=trials, variance=variance)
        is_superior = snooped is not None and bool(snooped.superior[defined == column].any())
        factor = annualisation(one, SESSIONS_PER_YEAR)
        block = block_length(one[:, np.newaxis])
        ends = sharpe_interval(one, block, reps=reps, seed=seed)
        verdict, reasons = _verdict(
            one,
            sharpe,
            _Evidence(
                deflated,
                luck * (factor if math.isfinite(factor) else math.sqrt(SESSIONS_PER_YEAR)),
                trials,
                columns,
                p_value,
                _median_overfitting(spread),
                is_superior=is_superior,
            ),
            has_costs=column not in without_costs,
        )
        if cloned:
            reasons = (*reasons, _clone_warning(cloned, columns))
        judged.append(
            Judgement(
                verdict,
                reasons,
                sharpe,
                sharpe.ratio * factor,
                error * factor,
                ends[0] * factor,
                ends[1] * factor,
                block,
                probabilistic_sharpe(sharpe),
                minimum_track_record(sharpe),
                deflated,
                deflated_sharpe(sharpe, trials=effective, variance=variance)[0],
                is_superior,
            )
        )
    return Judgements(tuple(judged), trials, effective, columns, p_value, spread)


@dataclass(frozen=True)
class _Evidence:
    """What a verdict rests on besides the returns: `luck` is the ratio per year of the luckiest of all trials."""

    deflated: float
    luck: float
    trials: int
    compared: int
    p_value: float
    overfitting: float
    is_superior: bool


def _undefined(excess: FloatArray, *, traded: bool) -> Judgement:
    """Return the judgement of a trial without a Sharpe ratio."""
    if not traded:
        why = "It made no trade, so that it has no Sharpe ratio."
    elif len(excess) < MIN_OBSERVATIONS:
        why = f"It has {plural(len(excess), 'return')}; a Sharpe ratio and a verdict need {MIN_OBSERVATIONS}."
    else:
        why = "It never differed from its benchmark, so that it has no Sharpe ratio."
    nan = float("nan")
    return Judgement(Proof.NOT_PROVEN, (why,), sharpe_of(np.empty(0)), *(nan,) * 9, is_superior=False)


def _verdict(
    excess: FloatArray, sharpe: Sharpe, evidence: _Evidence, *, has_costs: bool
) -> tuple[Proof, tuple[str, ...]]:
    error = hac_error(excess)
    if error > 0 and sharpe.ratio / error < -WORSE_ERRORS:
        below = -sharpe.ratio / error
        return Proof.WORSE, (f"Its mean return is below that of the benchmark by {below:.1f} standard errors.",)
    reasons = [] if has_costs else ["It was computed without costs, so that it proves nothing about trading."]
    doubts = (_luck(evidence), _superiority(evidence, sharpe.ratio), _choice(evidence))
    reasons += [why for why in doubts if why is not None]
    if not reasons:
        return Proof.PROVEN, ()
    longer = minimum_track_record(sharpe)
    if sharpe.ratio > 0 and longer > len(excess):
        reasons.append(
            f"Even as the only trial it would need {longer / SESSIONS_PER_YEAR:,.1f} years to tell its ratio from 0; "
            f"it has {len(excess) / SESSIONS_PER_YEAR:,.1f}."
        )
    return Proof.NOT_PROVEN, tuple(reasons)


def _luck(evidence: _Evidence) -> str | None:
    """Return why the deflated ratio proves nothing; None if it does."""
    if evidence.deflated > DEFLATED:
        return None
    needed = f"has a probability of {evidence.deflated:.1%}; a proof needs more than {DEFLATED:.0%}."
    if evidence.trials == 1:
        return f"That its true Sharpe ratio is above 0 {needed}"
    return (
        f"The luckiest of {plural(evidence.trials, 'trial')} without skill would have a Sharpe ratio of about "
        f"{evidence.luck:.2f} per year. That this one is above it {needed}"
    )


def _superiority(evidence: _Evidence, ratio: float) -> str | None:
    """Return why the test for superior ability proves nothing; None if it does.

    Parameters
    ----------
    ratio
        Sharpe ratio of the trial's returns over those of the benchmark.
    """
    if math.isnan(evidence.p_value):
        return f"The trials share fewer than {MIN_OBSERVATIONS} sessions with it, so that none is tested."
    if not evidence.p_value < SIGNIFICANCE:
        one = evidence.compared == 1
        if one and ratio <= 0:
            return "Its mean return is not above that of the benchmark."
        return (
            f"That {'it' if one else 'any trial'} is better than the benchmark may be chance: the p-value of the test"
            f"{'' if one else ' over all of them'} is {evidence.p_value:.2f}, where less than {SIGNIFICANCE:.2f} is "
            "needed."
        )
    if not evidence.is_superior:
        return "The test over all trials finds others better than the benchmark, but not this one."
    return None


def _choice(evidence: _Evidence) -> str | None:
    """Return why choosing the trial may be overfitting; None if it is not, or if there was none to choose from."""
    others = evidence.trials - evidence.compared
    if math.isnan(evidence.overfitting) and others > 0:
        return (
            f"Whether choosing it from {plural(evidence.trials, 'trial')} is overfitting is not known: that needs the "
            f"returns of the others on most of its sessions, and those of {others:,} were not compared."
        )
    if evidence.overfitting >= OVERFITTING:
        return (
            f"The trial that is best in one half of the time is worse than most in the other half in "
            f"{evidence.overfitting:.0%} of the splits: choosing the best is overfitting."
        )
    return None


def _median_overfitting(found: Sequence[Overfitting]) -> float:
    return float(np.median([one.probability for one in found])) if found else float("nan")


def _clone_warning(cloned: int, trials: int) -> str:
    repeat = "repeats" if cloned == 1 else "repeat"
    return (
        f"{cloned:,} of {plural(trials, 'trial')} {repeat} another: the probability of overfitting and the test over "
        "all trials say less than their number suggests."
    )


def _correlation(excess: FloatArray) -> FloatArray:
    centred = excess - excess.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(norm > 0, norm, 1.0)
    return np.asarray(scaled.T @ scaled)


def _effective(excess: FloatArray) -> float:
    return effective_number(_correlation(excess)) if excess.shape[1] > 1 and len(excess) > 1 else float(excess.shape[1])


def _distinct(excess: FloatArray) -> IntArray:
    """Return the first column of each set of equal ones, in order."""
    return np.sort(np.unique(excess, axis=1, return_index=True)[1]) if excess.size else np.arange(excess.shape[1])


def _clones(excess: FloatArray) -> int:
    """Return the number of trials that repeat one before them."""
    if excess.shape[1] < 2 or len(excess) < 2:
        return 0
    alike = np.triu(_correlation(excess) > CLONES, 1)
    return int(alike.any(axis=0).sum())
