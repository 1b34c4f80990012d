"""List the words that columns of the lake can hold, each with its meaning; docs/vocabulary.md prints them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = [
    "Action",
    "Basis",
    "Concern",
    "Evidence",
    "FailureReason",
    "Reason",
    "Regime",
    "RestatementKind",
    "RiskLevel",
    "RunKind",
    "RunScope",
    "RunStatus",
    "Sentiment",
    "StageStatus",
    "TickerStatus",
    "Verdict",
    "Vocabulary",
    "Writer",
]


class Vocabulary(StrEnum):
    """A closed set of words.

    Attributes
    ----------
    meaning
        Meaning of the word, in one sentence.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Make a member from the word and its meaning."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


class RunKind(Vocabulary):
    """Task of a run: column `kind` of table `runs`."""

    RUN = "run", "Every stage, from landing bars to the report: `pm run`."
    IMPORT = "import", "Landing and checking bars from files: `pm import`."
    EVALUATE = "evaluate", "Forecasting from past dates: `pm evaluate`."
    POLICY = "policy", "Training a policy of the mSSA-CP forecaster: `pm policy train`."
    ACTIONS = "actions", "Telling dividends and splits: `pm actions add`, `pm actions import` and `pm actions remove`."
    UNIVERSE = "universe", "Changing the watch list: `pm universe add` and `pm universe remove`."
    SAMPLE = "sample", "Removing the embedded sample from a lake that also holds bars of files or vendors."
    REFRESH = "refresh", "Landing and checking what the sources of the watch list have new: `pm refresh`."
    TEXTS = "texts", "Landing texts about tickers from a file: `pm text import`."


class RunStatus(Vocabulary):
    """State of a run: column `status` of table `runs`."""

    RUNNING = "running", "The run has started and not ended. `pm runs` shows it as cut off if no process is writing."
    DONE = "done", "Every stage is done or was skipped."
    FAILED = "failed", "A stage failed; the rows that earlier stages committed are kept."
    ABANDONED = "abandoned", "The run was cut off, and the next run started anew instead of continuing it."


class RunScope(Vocabulary):
    """Tickers and day that a run is about: column `scope` of table `runs`."""

    WHOLE = "whole", "The whole watch list, as of the day of its newest bar or today."
    PART = "part", "A look at other tickers than those of the watch list, such as a part of it: --tickers or --source."
    PAST = "past", "A look at another day, such as one in the past, of all tickers or some: --as-of."
    SAMPLE = "sample", "A run on the embedded sample, whose rows were removed once there were bars of files or vendors."


class StageStatus(Vocabulary):
    """Outcome of a stage of a run: column `status` of table `stage_events`."""

    DONE = "done", "The stage wrote its rows."
    SKIPPED = (
        "skipped",
        "Nothing that the stage depends on has changed: the rows of an earlier run are its result.",
    )
    FAILED = "failed", "The stage raised an error and wrote nothing."


class Reason(Vocabulary):
    """Reason for which a stage left a ticker out or simplified its work: column `reason` of table `exclusions`."""

    NO_PRICES = "no_prices", "Left out: the ticker has no usable bar up to the day of the run."
    DUPLICATE_DATES = "duplicate_dates", "Left out: two bars have the same date."
    BAD_PRICE = "bad_price", "Left out: a price is missing, not finite or not positive."
    BAD_RETURN = "bad_return", "Left out: a return is missing or not finite."
    STALE = "stale", "Left out: the last bar is older than forecast.max_age_days on the day of the run."
    TOO_FEW_BARS = "too_few_bars", "Left out: fewer bars than the simplest forecaster needs."
    TOO_FEW_RETURNS = "too_few_returns", "Left out: fewer returns than exponentially weighted volatility needs."
    CONSTANT = "constant", "Left out: the price hardly moves, so that there is no volatility to estimate."
    OUT_OF_RANGE = "out_of_range", "Left out: prices differ so much that a ratio or a quantile of them overflows."
    NO_VOLATILITY = "no_volatility", "Left out: there is no volatility for every step of the horizon."
    ORIGIN_MISMATCH = "origin_mismatch", "Left out: the forecast and the volatility start from different dates."
    NO_TARGETS = "no_targets", "Left out: the sessions to forecast are not known."
    AMBIGUOUS_FORECAST = "ambiguous_forecast", "Left out: there are two forecasts of one model, run and step."
    NON_FINITE_FORECAST = "non_finite_forecast", "Left out: a number of the forecast is missing or not finite."
    NON_POSITIVE_FORECAST = "non_positive_forecast", "Left out: a price or a sigma of the forecast is not positive."
    UNORDERED_QUANTILES = "unordered_quantiles", "Left out: the quantiles do not increase with their level."
    TOO_LITTLE_HISTORY = (
        "too_little_history",
        "Left out: no edge, no GARCH fit, and a 95% quantile of more than 5 times the 5% quantile.",
    )
    FAILED = "failed", "Left out: the stage raised an error for this ticker; column `detail` has it."
    SHORT_HISTORY = "short_history", "Simplified: the history is too short for the full model; a simpler one was used."
    NOT_CONVERGED = "not_converged", "Simplified: no GARCH model converged; exponentially weighted volatility was used."
    BAD_ESTIMATE = (
        "bad_estimate",
        "Simplified: the estimates of GARCH are not finite; exponentially weighted volatility was used.",
    )
    NOT_STATIONARY = (
        "not_stationary",
        "Simplified: no GARCH fit has a variance with a long-run level, so that fits without one were used.",
    )
    JUMP_LEFT_OUT = (
        "jump_left_out",
        "Simplified: returns that look like unadjusted splits or bad quotes were dropped.",
    )
    QUIET_PAST_LEFT_OUT = (
        "quiet_past_left_out",
        "Simplified: returns before the end of a halt or a currency peg were dropped.",
    )
    LATE = "late", "Forecast from an older bar: the ticker has had sessions since its last bar."


class FailureReason(Vocabulary):
    """Reason for which a source gave nothing for a ticker: column `reason` of `fetches` and `text_fetches`."""

    GONE = "gone", "The source does not know the symbol, or has no bars of it any more."
    NOT_PERMITTED = "not_permitted", "The key does not permit the data, or there is no key."
    LIMITED = "limited", "The source asks to wait longer than the refresh can, or the budget of requests is spent."
    UNREACHABLE = "unreachable", "No connection, a time-out, a failed certificate, or an error of the server."
    INVALID_REPLY = "invalid_reply", "The reply is cut off, too large, of another type, or has values that cannot be."
    OTHER_SYMBOL = "other_symbol", "The reply is about another symbol than the one asked for."
    OTHER_UNIT = "other_unit", "The currency or the unit of the prices differs from that of the bars in the lake."
    DISAGREES = "disagrees", "The closes differ from those of the bars in the lake, so that it cannot continue them."
    NOT_ASKED = "not_asked", "The source was not asked: it had failed too often, or the time of the refresh was over."


class TickerStatus(Vocabulary):
    """State of a ticker of the watch list: column `status` of table `universe`."""

    ACTIVE = "active", "The ticker is asked for after each session of its exchange."
    DELISTED = "delisted", "Its sources did not know it on several nights in a row: it is asked for once a week."


class RestatementKind(Vocabulary):
    """What a source changed a past bar for: column `kind` of table `restatements`."""

    CORRECTION = "correction", "The source corrected a price or the volume."
    SPLIT = "split", "The source adjusted the prices, the volume or both for a later split."
    LATE_VOLUME = "late_volume", "The volume of a day that had just ended was completed: the prices are the same."


class Verdict(Vocabulary):
    """Result of comparing a ticker's ensemble with naive: column `verdict` of table `model_weights`."""

    EDGE = "edge", "Out of sample the ensemble had a smaller RMSE than naive, and a smaller loss, significant at 5%."
    NO_EDGE = "no edge", "The ensemble's loss was not significantly smaller, or its RMSE not: naive has all the weight."


class Evidence(Vocabulary):
    """Errors that the weights of a ticker are computed from: column `evidence` of table `model_weights`."""

    OWN = "own", "The ticker's own cross-validated errors."
    POOLED = "pooled", "The errors of all tickers of the run, because the ticker has too few."
    NONE = "none", "None, because there are too few: naive has all the weight."


class Action(Vocabulary):
    """Action that a signal suggests: column `action` of table `signals`."""

    BUY = "BUY", "The probability of gaining more than the costs reaches the threshold."
    SELL = "SELL", "The probability of losing more than the costs reaches the threshold."
    HOLD = "HOLD", "Neither probability reaches the threshold, or both do."


class Basis(Vocabulary):
    """Evidence for the ratio between the prices of two deliveries: column `evidence` of table `rebasings`."""

    OVERLAP = "overlap", "Bars of the same dates in both deliveries: most of them agree on the ratio."
    NONE = (
        "none",
        "None, because no date is in both deliveries: a dividend or a split between them is not adjusted for.",
    )
    UNCLEAR = "unclear", "None, because the bars of the same dates contradict each other."
    SETTLED = "settled", "A later delivery that reaches over the break."


class Regime(Vocabulary):
    """Level of a ticker's volatility among its last 250 sessions: column `regime` of `volatility` and `forecasts`."""

    LOW = "low", "The lowest third."
    MIDDLE = "middle", "The middle third."
    HIGH = "high", "The highest third."


class Writer(Vocabulary):
    """Author of a text about a ticker: column `writer` of `commentary` and `risk_assessments`."""

    CODE = "code", "Code made the clauses from the tables, and chose and ordered them."
    ORDERED = "ordered", "Code made the clauses from the tables; a language model chose and ordered them."
    MODEL = "model", "A language model wrote the text, and code found a cell of the lake for every claim in it."


class RiskLevel(Vocabulary):
    """Risk of holding a ticker over the horizon: column `level` of table `risk_assessments`."""

    LOW = "low", "The concerns that hold have at most 1 point."
    MODERATE = "moderate", "The concerns that hold have 2 or 3 points."
    HIGH = "high", "The concerns that hold have 4 points or more."


class Concern(Vocabulary):
    """Concern about a ticker: column `concern` of table `risk_concerns`."""

    LEFT_OUT = "left_out", "The ticker has no signal, because a stage left it out: severe."
    OLD_BARS = "old_bars", "It has had sessions since its last bar."
    UNUSUAL_BARS = "unusual_bars", "A bar of the past year is flagged."
    SIMPLER_MODEL = "simpler_model", "A stage used a simpler model or less data than usual."
    VOLATILE = "volatile", "Its forecast volatility is at least 30% per year; severe from 50%."
    TURBULENT = "turbulent", "Its recent volatility is higher than on at least 80% of its last 250 sessions."
    LARGE_LOSS_POSSIBLE = (
        "large_loss_possible",
        "The lower end of the interval of its return is −10% or less; severe from −20%.",
    )
    FAR_BELOW_HIGH = "far_below_high", "Its adjusted close is at least 20% below its high of the past year."
    UNPROVEN = "unproven", "The signal is BUY or SELL although the models have no edge: severe."


class Sentiment(Vocabulary):
    """What a text says about a share: column `sentiment` of table `text_sentiment`."""

    POSITIVE = "positive", "Good news for those who hold the share."
    NEGATIVE = "negative", "Bad news for those who hold the share."
    UNCLEAR = "unclear", "The scores are within the model's noise of the line between both, or there are no words."
