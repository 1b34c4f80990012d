-- Each trial ever started, with what it proves by the newest judgement; the columns of trial_tests are null for a trial
-- that was not judged since it ended, and for one without returns.
-- state: 'done', 'failed' or 'killed'; 'started' while it runs, and if it was cut off and no trial has started since.
-- started_at: Time at which it started, in UTC.
-- judged_by: Run that judged it; null if none has.
WITH newest AS (
    SELECT *, first_value(recorded_at) OVER (PARTITION BY trial_id ORDER BY sequence) AS started_at
    FROM trials
    QUALIFY row_number() OVER (PARTITION BY trial_id ORDER BY sequence DESC) = 1
),
judged AS (
    SELECT *
    FROM trial_tests
    QUALIFY row_number() OVER (PARTITION BY trial_id ORDER BY run_id DESC) = 1
)
SELECT
    t.trial_id,
    t.name,
    t.state,
    t.started_at,
    t.allocator,
    t.tickers,
    t.universe_known_from,
    t.from_date,
    t.to_date,
    t.step,
    t.decisions,
    t.costs,
    t.cost,
    t.benchmark,
    t.n_days,
    t.fills,
    t.parent,
    t.detail,
    j.verdict,
    j.reasons,
    j.annual_return,
    j.annual_benchmark,
    j.annual_sharpe,
    j.annual_error,
    j.lower,
    j.upper,
    j.probabilistic,
    j.minimum_record,
    j.deflated,
    j.deflated_effective,
    j.trials,
    j.effective_trials,
    j.compared,
    j.superior_p,
    j.superior,
    j.overfitting,
    j.overfitting_low,
    j.overfitting_high,
    j.run_id AS judged_by
FROM newest AS t
LEFT JOIN judged AS j USING (trial_id);
