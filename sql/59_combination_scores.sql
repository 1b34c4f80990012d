-- Whether the combined volatility is better than each of its members alone: forecasts of no change with either distribution, of evaluations.
-- basis: The run_id of an evaluation or of a look at a past day; 'evaluations' for all evaluations.
-- step: Number of sessions after the origin date.
-- member: Member of the combination: 'garch_pool' or 'panel'.
-- forecasts: Number of realised forecasts that both made.
-- relative_crps: Mean CRPS of the combination / that of the member; below 1, combining is better.
-- relative_panel: Mean CRPS of the panel model / that of the pool, on the same forecasts.
-- weight: Mean weight of the member's quantiles; null for all evaluations together.
-- quarters: Number of quarters of a year that gain_t counts; a quarter counts once, since tickers move together.
-- mcs_p_value: p-value of the member in the model confidence set of both members, their combination and a GARCH model; in the 90% set if above 0.1. Null for all evaluations together, and with few dates.
-- combined_mcs_p_value: p-value of the combination in it.
-- gain_t: t statistic (Diebold-Mariano), over quarters, of the member's CRPS minus the combination's, in units of sigma; with 8 quarters or more, above 2 is significant.
WITH combined AS (
    SELECT basis, run_id, ticker, cutoff, origin_date, step, crps, sigma
    FROM scored_forecasts
    WHERE model = 'naive'
),
members AS (
    SELECT basis, run_id, ticker, origin_date, step, model AS member, crps AS member_crps
    FROM scored_forecasts
    WHERE model IN ('garch_pool', 'panel')
),
paired AS (
    SELECT basis, step, member, cutoff, crps, member_crps, (member_crps - crps) / nullif(sigma, 0) AS gain
    FROM combined
    JOIN members USING (basis, run_id, ticker, origin_date, step)
),
by_quarter AS (
    SELECT
        basis,
        step,
        member,
        date_trunc('quarter', cutoff) AS quarter,
        count(*) AS forecasts,
        sum(crps) AS crps,
        sum(member_crps) AS member_crps,
        avg(gain) AS gain
    FROM paired
    GROUP BY ALL
),
summed AS (
    SELECT
        basis,
        step,
        member,
        sum(forecasts)::BIGINT AS forecasts,
        sum(crps) AS crps,
        sum(member_crps) AS member_crps,
        count(*) AS quarters,
        avg(gain) / nullif(stddev_samp(gain), 0) * sqrt(count(gain)) AS gain_t
    FROM by_quarter
    GROUP BY ALL
),
weights AS (
    SELECT basis, step, member, avg(weight) AS weight
    FROM volatility_members
    JOIN run_basis USING (run_id)
    GROUP BY ALL
),
sets AS (
    SELECT
        run_id AS basis,
        step,
        model,
        mcs_p_value,
        max(mcs_p_value) FILTER (model = 'naive') OVER (PARTITION BY run_id, step) AS combined_mcs_p_value
    FROM member_sets
)
SELECT
    s.basis,
    s.step,
    s.member,
    s.forecasts,
    s.crps / nullif(s.member_crps, 0) AS relative_crps,
    max(s.member_crps) FILTER (s.member = 'panel') OVER pair / max(s.member_crps) FILTER (s.member = 'garch_pool') OVER pair
        AS relative_panel,
    w.weight,
    m.mcs_p_value,
    m.combined_mcs_p_value,
    s.quarters,
    s.gain_t
FROM summed AS s
LEFT JOIN weights AS w ON w.basis = s.basis AND w.step = s.step AND w.member = s.member
LEFT JOIN sets AS m ON m.basis = s.basis AND m.step = s.step AND m.model = s.member
WINDOW pair AS (PARTITION BY s.basis, s.step);
