-- Sentiment of the texts about a ticker that count from the open of a session: near-duplicates count once, unclear texts as 0. Proven or not: sentiment_edge.
-- texts: Number of texts that count.
-- duplicates: Number of texts that repeat an earlier one, and do not count.
-- positive: Number of positive texts.
-- negative: Number of negative texts.
-- unclear: Number of texts whose sentiment is within the noise of the model.
-- sentiment: Mean of 2 × probability_positive − 1 over the texts, from −1 to 1; an unclear text counts as 0. Null if all are duplicates.
-- last_published_at: Publication of the newest of the texts, in UTC.
WITH newest AS (
    -- A text that another model has read since counts as that one reads it.
    SELECT *
    FROM text_sentiment
    QUALIFY row_number() OVER (PARTITION BY ticker, source, source_id ORDER BY run_id DESC, model_sha256) = 1
)
SELECT
    ticker,
    session,
    count_if(duplicate_of IS NULL) AS texts,
    count_if(duplicate_of IS NOT NULL) AS duplicates,
    count_if(sentiment = 'positive') AS positive,
    count_if(sentiment = 'negative') AS negative,
    count_if(sentiment = 'unclear') AS unclear,
    avg(CASE sentiment WHEN 'unclear' THEN 0 ELSE 2 * probability_positive - 1 END) FILTER (WHERE duplicate_of IS NULL)
        AS sentiment,
    max(published_at) AS last_published_at
FROM newest
GROUP BY ticker, session;
