-- The probability that choosing the best of the trials that share a trial's sessions is overfitting, for each number of
-- blocks, by the newest judgement.
-- judged_by: Run that judged it.
SELECT
    o.trial_id,
    t.name,
    o.blocks,
    o.trials,
    o.splits,
    o.probability,
    o.degradation,
    o.loss,
    o.run_id AS judged_by
FROM overfitting_tests AS o
JOIN trial_verdicts AS t ON t.trial_id = o.trial_id AND t.judged_by = o.run_id;
