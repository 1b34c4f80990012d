-- Whether the sentiment of texts passes the test that every edge must pass: a significantly smaller squared error, out of sample, than assuming no change. No forecast uses it.
-- sessions: Number of sessions with a forecast; those of several tickers in one session count once, as their mean.
-- forecasts: Number of forecasts, of tickers and sessions.
-- relative_rmse: Root mean squared error of the forecasts / that of no change; below 1 is better.
-- statistic: Diebold-Mariano statistic of the mean gains of the sessions.
-- critical: Value that it must exceed: the 95% quantile of Student's t.
-- verdict: 'proven' or 'not proven'.
-- reason: Why, in a sentence.
WITH daily AS (
    SELECT session, avg(gain) AS gain
    FROM sentiment_outcomes
    WHERE gain IS NOT NULL
    GROUP BY session
),
tested AS (
    SELECT
        count(*) AS sessions,
        CASE WHEN stddev_samp(gain) > 0 THEN avg(gain) / stddev_samp(gain) * sqrt(count(*)) END AS statistic
    FROM daily
),
counted AS (
    SELECT
        count(gain) AS forecasts,
        sqrt(sum((session_return - forecast) ** 2) / nullif(sum(session_return ** 2) FILTER (WHERE gain IS NOT NULL), 0))
            AS relative_rmse
    FROM sentiment_outcomes
),
judged AS (
    SELECT
        *,
        -- Cornish-Fisher expansion of the quantile (Abramowitz and Stegun 26.7.5), with z = 1.6449: exact to 0.001 here.
        CASE WHEN sessions >= 8 THEN
            1.6448536 + 1.5237691 / (sessions - 1) + 1.420203 / (sessions - 1) ** 2 + 0.9830015 / (sessions - 1) ** 3
        END AS critical
    FROM tested, counted
)
SELECT
    sessions,
    forecasts,
    relative_rmse,
    statistic,
    critical,
    CASE WHEN sessions >= 100 AND statistic > critical AND relative_rmse < 1 THEN 'proven' ELSE 'not proven' END AS verdict,
    CASE
        WHEN sessions < 100
            THEN sessions || ' sessions have texts, bars and a forecast from earlier ones, and the test needs 100.'
        WHEN relative_rmse >= 1 THEN 'The error is not smaller than that of assuming no change.'
        WHEN statistic IS NULL OR statistic <= critical THEN 'The error is smaller, but not significantly so at 5%.'
        ELSE 'The error is significantly smaller than that of assuming no change.'
    END AS reason
FROM judged;
