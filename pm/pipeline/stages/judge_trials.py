"""Stage `judge_trials`: what each trial proves, given all that were ever run."""

from __future__ import annotations

from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.validation import OVERFITTING_TESTS, TRIAL_JUDGEMENTS, TRIAL_RETURNS, TRIAL_TESTS, TRIALS

__all__ = ["STAGE"]


def _compute(context: Context) -> Result:
    from pm.validation.judging import trial_tests
    from pm.validation.ledger import TrialLedger

    judgements = context.read(TRIAL_JUDGEMENTS).to_dicts()
    ledger = TrialLedger(context.read(TRIALS).to_dicts(), context.run_id, judgements)
    newest = ledger.newest()
    found = trial_tests(newest, context.read(TRIAL_RETURNS), context.settings.validation)
    tests, splits = (context.stamp(frame) for frame in found)
    counts = sorted(tests["verdict"].value_counts().iter_rows())
    verdicts = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in counts)
    return Result(
        [
            Append(TRIAL_TESTS, tests),
            Append(OVERFITTING_TESTS, splits),
            Append(TRIAL_JUDGEMENTS, ledger.judge(tests, splits)),
        ],
        f"{plural(len(newest), 'trial')}: {verdicts or 'none has returns'}",
    )


STAGE = Stage(
    "judge_trials",
    _compute,
    reads=(TRIALS, TRIAL_RETURNS),
    writes=(TRIAL_TESTS, OVERFITTING_TESTS, TRIAL_JUDGEMENTS),
    sections=("validation.prior_trials", "validation.bootstrap", "validation.seed"),
)
"""Judge every trial again: each further one raises what the best of them must exceed."""
