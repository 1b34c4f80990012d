-- Each probability of a signal whose horizon is over, and whether the event happened: two rows for each of scored_signals.
-- event: 'gain' for a return above round_trip_cost, of which the forecast is probability_gain; 'loss' for one below −round_trip_cost, probability_loss.
-- probability: Probability that the signal gave, rounded to a whole percent.
-- happened: 1 if the event happened, 0 if not.
-- regime: Regime of the ticker's volatility on the origin date; 'unknown' where table volatility has none.
-- edge: 'discovered' for an edge that may lead to BUY or SELL, 'claimed' for one that is proven for the ticker alone, 'none' for others.
-- known: Date of the bar that the horizon ends at.
WITH regimes AS (
    SELECT run_id, ticker, cutoff, any_value(regime) AS regime FROM volatility GROUP BY ALL
)
SELECT
    s.basis,
    s.run_id,
    s.ticker,
    s.origin_date,
    s.action,
    s.horizon,
    coalesce(g.regime, 'unknown') AS regime,
    CASE WHEN e.discovered THEN 'discovered' WHEN e.verdict = 'edge' THEN 'claimed' ELSE 'none' END AS edge,
    unnest([
        {
            'event': 'gain',
            'probability': round(s.probability_gain, 2),
            'happened': (s.realised_return > s.round_trip_cost)::INTEGER
        },
        {
            'event': 'loss',
            'probability': round(s.probability_loss, 2),
            'happened': (s.realised_return < -s.round_trip_cost)::INTEGER
        }
    ], recursive := true),
    s.last_date AS known,
    s.snapshot_id,
    s.cutoff
FROM scored_signals AS s
LEFT JOIN discoveries AS e ON e.run_id = s.run_id AND e.cutoff = s.cutoff AND e.ticker = s.ticker
LEFT JOIN regimes AS g ON g.run_id = s.volatility_run_id AND g.cutoff = s.cutoff AND g.ticker = s.ticker;
