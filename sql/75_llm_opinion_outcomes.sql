-- Each opinion of the language model whose horizon is over, with what happened, and its gain on the martingale.
-- basis: 'runs' for opinions given as the days passed; for those of a look at a past day, its run_id.
-- outcome_date: Date of the bar that realised_return ends at: the horizon-th after the origin date.
-- realised_return: Simple total return from the origin date to outcome_date, before costs.
-- brier: Squared difference between probability_up and 1 or 0 for a price that rose or not.
-- martingale_brier: The same of the martingale, for which a rise has a probability of one half.
-- gain: martingale_brier − brier: positive where the model did better.
WITH closes AS (
    SELECT ticker, date, close, row_number() OVER (PARTITION BY ticker ORDER BY date) AS place
    FROM adjusted_bars
    WHERE date >= (SELECT min(origin_date) FROM llm_opinions)
)
SELECT
    o.run_id,
    r.basis,
    o.model,
    o.model_sha256,
    o.ticker,
    o.origin_date,
    o.horizon,
    o.action,
    o.probability_up,
    last.date AS outcome_date,
    last.close / origin.close - 1 AS realised_return,
    (o.probability_up - (last.close > origin.close)::INTEGER) ** 2 AS brier,
    0.25 AS martingale_brier,
    0.25 - (o.probability_up - (last.close > origin.close)::INTEGER) ** 2 AS gain
FROM llm_opinions AS o
JOIN run_basis AS r USING (run_id)
JOIN closes AS origin ON origin.ticker = o.ticker AND origin.date = o.origin_date
JOIN closes AS last
    ON {'ticker': last.ticker, 'place': last.place} = {'ticker': o.ticker, 'place': origin.place + o.horizon};
