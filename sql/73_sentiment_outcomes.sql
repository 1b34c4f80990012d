-- What a ticker's sentiment would have forecast of the session that it counts from, by the line of all earlier sessions, and what happened.
-- basis: 'runs' for texts that came and were read before the session opened, 'hindsight' for others; each has a line of its own.
-- sentiment: Mean sentiment of the texts that count from the session; see ticker_sentiment.
-- session_return: Log return from the open to the close of the session: the part of it that the texts came before.
-- slope: Slope through the origin of session_return on sentiment over all tickers in earlier sessions of the basis; null before there are 20 of these.
-- forecast: slope × sentiment.
-- gain: Squared error of assuming no change minus that of the forecast: positive where the sentiment was of use.
WITH realised AS (
    SELECT s.ticker, s.session, s.basis, s.sentiment, ln(b.close / b.open) AS session_return
    FROM ticker_sentiment AS s
    JOIN bars AS b ON b.ticker = s.ticker AND b.date = s.session
    WHERE s.sentiment IS NOT NULL AND b.open > 0 AND b.close > 0
),
daily AS (
    SELECT
        basis,
        session,
        sum(sentiment * session_return) AS product,
        sum(sentiment ** 2) AS square,
        count(*) AS tickers
    FROM realised
    GROUP BY basis, session
),
fitted AS (
    SELECT
        basis,
        session,
        CASE WHEN count(*) OVER earlier >= 20 THEN sum(product) OVER earlier / nullif(sum(square) OVER earlier, 0) END
            AS slope
    FROM daily
    WINDOW earlier AS (PARTITION BY basis ORDER BY session ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    r.ticker,
    r.session,
    r.basis,
    r.sentiment,
    r.session_return,
    f.slope,
    f.slope * r.sentiment AS forecast,
    r.session_return ** 2 - (r.session_return - f.slope * r.sentiment) ** 2 AS gain
FROM realised AS r
JOIN fitted AS f USING (basis, session);
