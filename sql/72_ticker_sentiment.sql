-- Sentiment of the texts about a ticker that count from the open of a session: near-duplicates count once, unclear texts as 0. Proven or not: sentiment_edge.
-- basis: 'runs' for texts that came and were read before the session opened; 'hindsight' for others, and for a later reading of one by another model.
-- texts: Number of texts that count.
-- duplicates: Number of texts that repeat another one, and do not count.
-- positive: Number of positive texts.
-- negative: Number of negative texts.
-- unclear: Number of texts whose sentiment is within the noise of the model.
-- sentiment: Mean of 2 × probability_positive − 1 over the texts, from −1 to 1; an unclear text counts as 0. Null if all are duplicates.
-- last_published_at: Publication of the newest of the texts, in UTC.
WITH done AS (
    SELECT run_id, max(finished_at) AS read_at
    FROM stage_events
    WHERE stage = 'sentiment' AND status = 'done'
    GROUP BY run_id
),
readings AS (
    SELECT
        s.*,
        CASE WHEN r.fetched_at < s.opens_at AND d.read_at < s.opens_at THEN 'runs' ELSE 'hindsight' END AS basis
    FROM text_sentiment AS s
    LEFT JOIN raw.texts AS r USING (ticker, source, source_id)
    LEFT JOIN done AS d ON d.run_id = s.run_id
),
newest AS (
    -- A text that another model has read since counts as that one reads it, but for 'runs' only if it did so in time.
    SELECT *
    FROM readings
    QUALIFY row_number() OVER (PARTITION BY ticker, source, source_id, basis ORDER BY run_id DESC, model_sha256) = 1
)
SELECT
    ticker,
    session,
    basis,
    count_if(duplicate_of IS NULL) AS texts,
    count_if(duplicate_of IS NOT NULL) AS duplicates,
    count_if(sentiment = 'positive') AS positive,
    count_if(sentiment = 'negative') AS negative,
    count_if(sentiment = 'unclear') AS unclear,
    avg(CASE sentiment WHEN 'unclear' THEN 0 ELSE 2 * probability_positive - 1 END) FILTER (WHERE duplicate_of IS NULL)
        AS sentiment,
    max(published_at) AS last_published_at
FROM newest
GROUP BY ticker, session, basis;
