-- For each night, the edges that were claimed, and how many of them survive the control of false discoveries over all tickers.
-- basis: 'runs' for nights as the days passed; for an evaluation or a look at a past day, its run_id.
-- signals: Number of tickers with a signal.
-- tested: Number of tickers with a test of their own.
-- below_5: Number of tests with a p-value below 5%.
-- by_chance: Number of such tests to expect where no ticker has an edge: 5% of tested.
-- claimed: Number of edges that are proven for the ticker alone.
-- discovered: Number of edges that survive the control: they may lead to BUY or SELL.
-- smallest_p: Smallest p-value.
-- smallest_q: Smallest p-value adjusted for the number of tests; at most false_discovery_rate where something is discovered.
-- snapshot_id: Snapshot of the lake that the signals read.
-- false_discovery_rate: Largest expected share of false discoveries among the discoveries; from the settings of that night.
SELECT
    d.run_id,
    r.basis,
    d.cutoff,
    count(*) AS signals,
    count(d.p_value) AS tested,
    count_if(d.p_value < 0.05)::BIGINT AS below_5,
    0.05::DOUBLE * count(d.p_value) AS by_chance,
    count_if(d.verdict = 'edge')::BIGINT AS claimed,
    count_if(d.discovered)::BIGINT AS discovered,
    min(d.p_value) AS smallest_p,
    min(d.q_value) AS smallest_q,
    any_value(d.false_discovery_rate) AS false_discovery_rate,
    any_value(d.snapshot_id) AS snapshot_id
FROM discoveries AS d
JOIN run_basis AS r USING (run_id)
GROUP BY d.run_id, r.basis, d.cutoff;
