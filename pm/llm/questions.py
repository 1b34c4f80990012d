"""The questions that can be asked of the lake in plain words, each with its query."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUESTIONS", "Question"]


@dataclass(frozen=True)
class Question:
    """A question with the query that answers it.

    Attributes
    ----------
    name
        Short name.
    about
        What the answer is about, in a phrase.
    examples
        How people ask it; X stands for a ticker.
    sql
        The query; the line `$where` in it stands for the condition.
    of_one
        Condition for a question that names a ticker, at `$ticker`; "" for none.
    of_all
        Condition for one that names none; "" for none.
    needs_ticker
        Whether the query is about one ticker. Others take one or none.
    """

    name: str
    about: str
    examples: tuple[str, ...]
    sql: str
    of_one: str = "ticker = $ticker"
    of_all: str = ""
    needs_ticker: bool = False

    def statement(self, ticker: str | None) -> str:
        """Return the query for a ticker, or for all of them."""
        condition = self.of_all
        if ticker is not None:
            condition = self.of_one.replace("$ticker", "'" + ticker.replace("'", "''") + "'")
        return self.sql.replace("\n$where", f"\nWHERE {condition}" if condition else "")


QUESTIONS = (
    Question(
        "signal",
        "why a ticker has its signal",
        ("why is X a HOLD?", "why should I buy X?", "what is the reason for the signal of X?", "why sell X?"),
        "SELECT ticker, action, rule, confidence, probability_gain, probability_loss, expected_return, lower, upper\n"
        "FROM latest_signals\n$where",
        needs_ticker=True,
    ),
    Question(
        "actions",
        "which tickers to buy and to sell",
        ("which tickers are a BUY?", "what should I buy today?", "list all signals", "which stocks should be sold?"),
        "SELECT ticker, action, confidence, expected_return, size\nFROM latest_signals\n"
        "$where\nORDER BY action <> 'HOLD' DESC, confidence DESC",
    ),
    Question(
        "forecast",
        "the forecast of a price",
        ("what is the forecast for X?", "where will the price of X be in a month?", "what price do you predict for X?"),
        "SELECT ticker, step, target_date, q05, q50, q95\nFROM latest_forecasts\n$where\nORDER BY step",
        "ticker = $ticker AND model = 'ensemble'",
        needs_ticker=True,
    ),
    Question(
        "volatility",
        "how much a price moves, and its risk",
        ("how volatile is X?", "how risky is X?", "which stock has the highest volatility?", "what is the risk of X?"),
        "SELECT ticker, risk_level, annual_volatility, sigma AS sigma_of_horizon\n"
        "FROM latest_signals\nLEFT JOIN (SELECT ticker, risk_level FROM latest_commentary) USING (ticker)\n$where\n"
        "ORDER BY annual_volatility DESC",
    ),
    Question(
        "size",
        "the size of a position, its stop and its target",
        (
            "how much of X should I hold?",
            "where is the stop of X?",
            "what position size for X?",
            "how many shares of X?",
        ),
        "SELECT ticker, action, size, stop, target, annual_volatility, close\nFROM latest_signals\n"
        "$where\nORDER BY abs(size) DESC, ticker",
    ),
    Question(
        "excluded",
        "which tickers were left out, and why",
        ("why is there no signal for X?", "which tickers were left out?", "why is X missing?", "what was excluded?"),
        "SELECT ticker, stage, reason, detail\nFROM latest_exclusions\n$where\nORDER BY ticker, stage",
    ),
    Question(
        "freshness",
        "how old the bars are, and whether the data are in order",
        ("how old are the bars of X?", "is the data up to date?", "when was X last updated?", "are any data stale?"),
        "SELECT ticker, last_date, weekdays_behind, bars, gaps, quarantined, last_reason, due_at\nFROM data_health\n"
        "$where\nORDER BY weekdays_behind DESC NULLS LAST, ticker",
    ),
    Question(
        "prices",
        "the last prices of a ticker",
        ("what was the last price of X?", "show the closes of X", "how did X do last week?", "what did X close at?"),
        "SELECT ticker, date, open, high, low, close, volume\nFROM bars\n$where\nORDER BY date DESC\nLIMIT 10",
        needs_ticker=True,
    ),
    Question(
        "news",
        "news about a ticker, and whether they are good or bad",
        ("what is the news about X?", "is the news of X good?", "any headlines on X?", "what is the sentiment of X?"),
        "SELECT t.ticker, t.published_at, t.headline, s.sentiment, s.probability_positive, s.duplicate_of\n"
        "FROM raw.texts AS t\nLEFT JOIN text_sentiment AS s USING (ticker, source, source_id)\n"
        "$where\nORDER BY t.published_at DESC\nLIMIT 20",
        "t.ticker = $ticker",
    ),
    Question(
        "models",
        "which models made a forecast, and whether they have an edge",
        ("which models forecast X?", "does X have an edge?", "what are the weights of the models for X?"),
        "SELECT ticker, model, weight, verdict, relative_rmse, dm_p_value, reason\nFROM latest_weights\n"
        "$where\nORDER BY ticker, weight DESC, model",
    ),
    Question(
        "accuracy",
        "how good the forecasts were",
        ("how good were the forecasts?", "do the models beat no change?", "how accurate are the predictions?"),
        "SELECT basis, step, place, model, forecasts, dates, relative_rmse, relative_crps, gain_t\n"
        "FROM model_leaderboard\n$where\nORDER BY basis, step, place",
        "slice = 'ticker' AND value = $ticker",
        "slice = 'all'",
    ),
    Question(
        "results",
        "what became of earlier signals",
        ("did the signals make money?", "what became of the BUY signals?", "how often were the signals right?"),
        "SELECT basis, action, signals, dates, confidence, came_true, mean_return, net_return\nFROM signal_scores\n"
        "$where\nORDER BY basis, action",
        "slice = 'ticker' AND value = $ticker",
        "slice = 'all'",
    ),
    Question(
        "quarantine",
        "which rows of the data were refused",
        ("which bars were refused?", "what is in the quarantine?", "why was a row of X rejected?"),
        "SELECT ticker, date, rule, batch_id\nFROM quarantine\n$where\nORDER BY date DESC\nLIMIT 20",
    ),
    Question(
        "opinion",
        "what the language model thinks of a ticker",
        ("what does the language model think of X?", "does the model agree on X?", "what is the second opinion on X?"),
        "SELECT ticker, route, action, signal_action, opinion_action, abstains_because\nFROM signal_routing\n"
        "$where\nORDER BY ticker",
    ),
    Question(
        "runs",
        "how the last runs went",
        ("did the last run succeed?", "when was the last run?", "did the night fail?", "which stage failed?"),
        "SELECT run_id, kind, status, started_at, finished_at, error\nFROM runs\nORDER BY started_at DESC\nLIMIT 10",
        of_one="",
    ),
)
"""The questions. A model or a match of words picks one; it writes no SQL."""
