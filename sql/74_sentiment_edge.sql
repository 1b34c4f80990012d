-- Whether the sentiment of texts passes the test that every edge must pass: a significantly smaller squared error, out of sample, than assuming no change. No forecast uses it.
-- basis: 'runs' for texts that came and were read before the session opened: only these can prove an edge. 'hindsight' for others.
-- sessions: Number of sessions with a forecast; those of several tickers in one session count once, as their mean.
-- forecasts: Number of forecasts, of tickers and sessions.
-- relative_rmse: Root mean squared error of the forecasts / that of no change; below 1 is better.
-- statistic: Diebold-Mariano statistic of the mean gains of the sessions.
-- critical: Value that it must exceed: the 95% quantile of Student's t.
-- verdict: 'proven' or 'not proven'.
-- reason: Why, in a sentence.
WITH bases AS (
    SELECT 'runs' AS basis
    UNION
    SELECT basis FROM sentiment_outcomes
),
daily AS (
    SELECT basis, session, avg(gain) AS gain
    FROM sentiment_outcomes
    WHERE gain IS NOT NULL
    GROUP BY basis, session
),
tested AS (
    SELECT
        basis,
        count(session) AS sessions,
        CASE WHEN stddev_samp(gain) > 0 THEN avg(gain) / stddev_samp(gain) * sqrt(count(gain)) END AS statistic
    FROM bases
    LEFT JOIN daily USING (basis)
    GROUP BY basis
),
counted AS (
    SELECT
        basis,
        count(gain) AS forecasts,
        sqrt(sum((session_return - forecast) ** 2) / nullif(sum(session_return ** 2) FILTER (WHERE gain IS NOT NULL), 0))
            AS relative_rmse
    FROM bases
    LEFT JOIN sentiment_outcomes USING (basis)
    GROUP BY basis
),
judged AS (
    SELECT
        *,
        -- Cornish-Fisher expansion of the quantile (Abramowitz and Stegun 26.7.5), with z = 1.6449: exact to 0.001 here.
        CASE WHEN sessions >= 8 THEN
            1.6448536 + 1.5237691 / (sessions - 1) + 1.420203 / (sessions - 1) ** 2 + 0.9830015 / (sessions - 1) ** 3
        END AS critical
    FROM tested
    JOIN counted USING (basis)
)
SELECT
    basis,
    sessions,
    forecasts,
    relative_rmse,
    statistic,
    critical,
    CASE WHEN basis = 'runs' AND sessions >= 100 AND statistic > critical AND relative_rmse < 1 THEN 'proven'
        ELSE 'not proven' END AS verdict,
    CASE
        WHEN basis <> 'runs' THEN 'Texts that are read after the session opened prove nothing: a model can know what followed.'
        WHEN sessions < 100
            THEN sessions || ' sessions have texts read before their open, bars and a forecast from earlier ones; the test needs 100.'
        WHEN relative_rmse >= 1 THEN 'The error is not smaller than that of assuming no change.'
        WHEN statistic IS NULL OR statistic <= critical THEN 'The error is smaller, but not significantly so at 5%.'
        ELSE 'The error is significantly smaller than that of assuming no change.'
    END AS reason
FROM judged;
