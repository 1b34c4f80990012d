-- Tests of value at risk against the losses that followed: is it exceeded as often as it should be, and independently of the time before?
-- basis: 'runs' for risk computed as the days passed; for that of a backtest or of a look at a past day, its run_id.
-- forecasts: Number of forecasts with an outcome whose windows do not overlap.
-- exceptions: Number of losses above var.
-- share: exceptions / forecasts; 1 − level is right.
-- kupiec: Kupiec's likelihood ratio statistic of the share.
-- kupiec_p: Probability of a statistic at least as large if the share is right; below 5%, doubt it.
-- independence: Christoffersen's likelihood ratio statistic of independence of the forecast before.
-- independence_p: Probability of a statistic at least as large if exceptions are independent.
-- conditional_p: p-value of Christoffersen's test of both.
-- zone: Basel traffic light: yellow from the number of exceptions on that as many or fewer have a probability of 95%, red from 99.99%. No more than are expected are green.
WITH outcomes AS (
    SELECT
        basis,
        portfolio,
        method,
        horizon,
        level,
        list({'origin': origin_date, 'known': outcome_date, 'hit': exceeded::BIGINT} ORDER BY origin_date) AS outcomes
    FROM risk_outcomes
    GROUP BY ALL
),
folded AS (
    -- Forecasts in order, each skipped if it is before the outcome of the one kept before. Of those kept: their number,
    -- that of exceptions, and those after a forecast with (n11) and without (n01) an exception.
    SELECT
        * EXCLUDE (outcomes),
        list_reduce(
            list_transform(outcomes, lambda o: {
                'origin': o.origin,
                'known': o.known,
                'hit': o.hit,
                'forecasts': 1::BIGINT,
                'exceptions': o.hit,
                'n01': 0::BIGINT,
                'n11': 0::BIGINT
            }),
            lambda kept, o: CASE WHEN o.origin < kept.known THEN kept ELSE {
                'origin': o.origin,
                'known': o.known,
                'hit': o.hit,
                'forecasts': kept.forecasts + 1,
                'exceptions': kept.exceptions + o.hit,
                'n01': kept.n01 + (1 - kept.hit) * o.hit,
                'n11': kept.n11 + kept.hit * o.hit
            } END
        ) AS kept
    FROM outcomes
),
counted AS (
    -- Of the forecasts before another one, those with an exception are all but the last one.
    SELECT
        basis,
        portfolio,
        method,
        horizon,
        level,
        1 - level AS p,
        kept.forecasts AS forecasts,
        kept.exceptions AS exceptions,
        kept.n01 AS n01,
        kept.n11 AS n11,
        kept.exceptions - kept.hit - kept.n11 AS n10,
        (kept.forecasts - 1) - (kept.exceptions - kept.hit) - kept.n01 AS n00
    FROM folded
),
tested AS (
    -- x·ln(x / y) is 0 where x is 0.
    SELECT
        *,
        greatest(0, 2 * (
            CASE WHEN exceptions > 0 THEN exceptions * ln(exceptions / forecasts / p) ELSE 0 END
            + CASE WHEN exceptions < forecasts
                THEN (forecasts - exceptions) * ln((1 - exceptions / forecasts) / (1 - p)) ELSE 0 END
        )) AS kupiec,
        greatest(0, 2 * (
            CASE WHEN n00 > 0 THEN n00 * ln(n00 / (n00 + n01)) ELSE 0 END
            + CASE WHEN n01 > 0 THEN n01 * ln(n01 / (n00 + n01)) ELSE 0 END
            + CASE WHEN n10 > 0 THEN n10 * ln(n10 / (n10 + n11)) ELSE 0 END
            + CASE WHEN n11 > 0 THEN n11 * ln(n11 / (n10 + n11)) ELSE 0 END
            - CASE WHEN n01 + n11 > 0 THEN (n01 + n11) * ln((n01 + n11) / (n00 + n01 + n10 + n11)) ELSE 0 END
            - CASE WHEN n00 + n10 > 0 THEN (n00 + n10) * ln((n00 + n10) / (n00 + n01 + n10 + n11)) ELSE 0 END
        )) AS independence
    FROM counted
),
scored AS (
    -- erfc(x), which is the p-value for x² = statistic / 2: Abramowitz and Stegun 7.1.26, to 1.5e-7.
    SELECT
        *,
        1 / (1 + 0.3275911 * sqrt(kupiec / 2)) AS k,
        1 / (1 + 0.3275911 * sqrt(independence / 2)) AS i,
        -- The binomial distribution function of the number of exceptions.
        list_sum(list_transform(range(exceptions + 1), lambda k: exp(
            lgamma(forecasts + 1) - lgamma(k + 1) - lgamma(forecasts - k + 1)
            + k * ln(p) + (forecasts - k) * ln(1 - p)
        ))) AS cumulated
    FROM tested
)
SELECT
    basis,
    portfolio,
    method,
    horizon,
    level,
    forecasts,
    exceptions,
    exceptions / forecasts AS share,
    kupiec,
    k * (0.254829592 + k * (-0.284496736 + k * (1.421413741 + k * (-1.453152027 + k * 1.061405429)))) * exp(-kupiec / 2)
        AS kupiec_p,
    independence,
    i * (0.254829592 + i * (-0.284496736 + i * (1.421413741 + i * (-1.453152027 + i * 1.061405429))))
    * exp(-independence / 2) AS independence_p,
    exp(-(kupiec + independence) / 2) AS conditional_p,
    CASE WHEN cumulated < 0.95 OR exceptions <= forecasts * p THEN 'green' WHEN cumulated < 0.9999 THEN 'yellow' ELSE 'red' END AS zone
FROM scored;
