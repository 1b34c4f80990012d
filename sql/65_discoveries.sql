-- Each signal's edge, and whether it survives the control of false discoveries over all tickers of its night.
-- verdict: Whether the ensemble was clearly better than naive out of sample; see model_weights.
-- evidence: Errors that the verdict rests on: the ticker's own, those of all tickers (pooled, or relative to each other), or none.
-- p_value: p-value of the ticker's own test; null where the evidence is not its own.
-- tested: Number of tickers that were tested that night.
-- rank: Rank of the p-value among those tested, the smallest first.
-- q_value: p-value adjusted for the number of tests (Benjamini and Hochberg 1995).
-- discovered: Whether the edge may lead to BUY or SELL: q_value is at most false_discovery_rate.
WITH tested AS (
    SELECT
        run_id,
        cutoff,
        ticker,
        dm_p_value AS p_value,
        count(*) OVER night AS tested,
        row_number() OVER (night ORDER BY dm_p_value, ticker) AS rank
    FROM model_weights
    WHERE model = 'ensemble' AND isfinite(dm_p_value)
    WINDOW night AS (PARTITION BY run_id, cutoff)
),

adjusted AS (
    SELECT
        *,
        min(p_value * tested / rank) OVER (
            PARTITION BY run_id, cutoff ORDER BY rank ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS q_value
    FROM tested
)

SELECT
    s.run_id,
    s.cutoff,
    s.ticker,
    w.verdict,
    w.evidence,
    a.p_value,
    a.tested,
    a.rank,
    a.q_value,
    s.false_discovery_rate,
    w.verdict = 'edge' AND CASE
        -- One test over the errors of all such tickers, at 5%.
        WHEN w.evidence IN ('pooled', 'relative') THEN s.false_discovery_rate >= 0.05
        ELSE coalesce(a.q_value <= s.false_discovery_rate, false)
    END AS discovered,
    s.action,
    s.reason,
    s.snapshot_id
FROM signals AS s
JOIN model_weights AS w
    ON w.run_id = s.forecast_run_id AND w.cutoff = s.cutoff AND w.ticker = s.ticker AND w.model = 'ensemble'
LEFT JOIN adjusted AS a ON a.run_id = s.forecast_run_id AND a.cutoff = s.cutoff AND a.ticker = s.ticker
WHERE s.false_discovery_rate IS NOT NULL;
