"""List the words that columns of the lake can hold, each with its meaning; docs/vocabulary.md prints them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = [
    "Action",
    "Basis",
    "BrokerName",
    "CashKind",
    "Concern",
    "Evidence",
    "FailureReason",
    "FillKind",
    "HaltAction",
    "HaltCause",
    "HealthStatus",
    "Judgement",
    "LimitAction",
    "LimitName",
    "LotMethod",
    "OrderPurpose",
    "OrderState",
    "OrderType",
    "PortfolioStatus",
    "Proof",
    "Reason",
    "Regime",
    "RelativeStatus",
    "RestatementKind",
    "RiskLevel",
    "RiskMethod",
    "RunKind",
    "RunScope",
    "RunStatus",
    "Sentiment",
    "Side",
    "SignalReason",
    "StageStatus",
    "StressKind",
    "TargetReason",
    "TickerStatus",
    "TimeInForce",
    "TrialState",
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

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the member of a word that a column holds.

        Raises
        ------
        KeyError
            There is none.
        """
        member: Self = cls._value2member_map_[word]  # type: ignore[assignment]  # of this class
        return member


class RunKind(Vocabulary):
    """Task of a run: column `kind` of table `runs`."""

    RUN = "run", "Every stage, from landing bars to the report: `pm run`."
    IMPORT = "import", "Landing and checking bars from files: `pm import`."
    EVALUATE = "evaluate", "Forecasting from past dates: `pm evaluate`."
    BACKTEST = (
        "backtest",
        "Walking decisions over past dates, or computing risk as of them: `pm backtest`, `pm risk backtest`.",
    )
    POLICY = "policy", "Training a policy of the mSSA-CP forecaster: `pm policy train`."
    ACTIONS = "actions", "Telling dividends and splits: `pm actions add`, `pm actions import` and `pm actions remove`."
    UNIVERSE = "universe", "Changing the watch list: `pm universe add` and `pm universe remove`."
    SAMPLE = "sample", "Removing the embedded sample from a lake that also holds bars of files or vendors."
    REFRESH = "refresh", "Landing and checking what the sources of the watch list have new: `pm refresh`."
    TRADE = "trade", "Changing the ledger: `pm account`, `pm trade`, `pm halt` and `pm resume`."
    TEXTS = "texts", "Landing texts about tickers from a file: `pm text import`."
    OBSERVATIONS = "observations", "Importing observations about tickers from a file: `pm observations import`."
    EDGES = "edges", "Testing whether an observation helps forecasts: `pm edges test`."
    VALIDATE = "validate", "Testing what signals, forecasts, risk and accounts were worth: `pm validate`."


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
    NO_RATE = "no_rate", "Left out: there are no bars of the rate between the ticker's currency and the portfolio's."
    IS_A_RATE = "is_a_rate", "Left out: the ticker is a rate of exchange, which values other tickers and is not held."
    FAILED = "failed", "Left out: the stage raised an error for this ticker; column `detail` has it."
    SHORT_HISTORY = "short_history", "Simplified: the history is too short for the full model; a simpler one was used."
    NOT_CONVERGED = "not_converged", "Simplified: no GARCH model converged; a simpler model was used."
    BAD_ESTIMATE = (
        "bad_estimate",
        "Simplified: the estimates of GARCH are not finite; a simpler model was used.",
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
    RANGES_NOT_USED = (
        "ranges_not_used",
        "Simplified: the ranges of its bars contradict its closes or are mostly zero; volatility was read from closes.",
    )
    RESIDUALS_FILLED = (
        "residuals_filled",
        "Simplified: on some joint dates the ticker had no residual; one was drawn, by its slope on the first factor.",
    )
    NOT_IN_RISK = "not_in_risk", "Left out: the ticker has no fitted volatility, so that its joint risk is not known."
    STAND_IN = (
        "stand_in",
        "Simplified: held without a fitted volatility; its risk is that of its past moves, or of the first factor.",
    )
    DELISTED = "delisted", "Left out: the watch list says that the ticker is delisted, so that it is not bought."
    OUT_OF_REACH = (
        "out_of_reach",
        "Left out: the broker of the account cannot be sent orders in the ticker.",
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

    EDGE = "edge", "Out of sample the ensemble's loss was smaller than naive's at 5%, and its RMSE by more than chance."
    NO_EDGE = (
        "no edge",
        "The loss was not significantly smaller, or the RMSE not by more than chance: naive has all the weight.",
    )


class Evidence(Vocabulary):
    """Errors that the weights of a ticker are computed from: column `evidence` of table `model_weights`."""

    OWN = "own", "The ticker's own cross-validated errors."
    POOLED = "pooled", "The errors of all tickers of the run, because the ticker has too few."
    RELATIVE = "relative", "The errors of all tickers' returns relative to each other, on dates; see relative_tests."
    NONE = "none", "None, because there are too few: naive has all the weight."


class RelativeStatus(Vocabulary):
    """Result of the model of relative returns: column `status` of table `relative_tests`."""

    EDGE = "edge", "It was significantly better than equal returns on past dates, and has weight."
    NO_EDGE = "no edge", "It was not significantly better than equal returns on past dates, and has no weight."
    FEW_TICKERS = "few_tickers", "Fewer than 8 tickers have features, so that there is no mean to be relative to."
    FEW_DATES = "few_dates", "Too few past dates with enough tickers to fit or to test it."


class Action(Vocabulary):
    """Action that a signal suggests: column `action` of table `signals`."""

    BUY = "BUY", "The probability of gaining more than the costs reaches the threshold."
    SELL = "SELL", "The probability of losing more than the costs reaches the threshold."
    HOLD = "HOLD", "Neither probability reaches the threshold, or both do, or the edge is not among the discoveries."


class SignalReason(Vocabulary):
    """Reason for the action of a signal: column `reason` of table `signals`."""

    REACHED = "reached", "BUY or SELL: the probability of a gain or of a loss reaches the threshold."
    NOT_REACHED = "not_reached", "HOLD: neither probability reaches the threshold."
    BOTH_REACHED = "both_reached", "HOLD: both probabilities reach the threshold."
    NOT_AMONG_DISCOVERIES = (
        "not_among_discoveries",
        "HOLD: a probability reaches the threshold, but the edge is not among the discoveries of the night.",
    )


class TargetReason(Vocabulary):
    """Reason for the target of a ticker: column `reason` of table `targets`."""

    TRADED = "traded", "The weight is that of the allocator, and differs from the one held."
    WITHIN_BAND = "within_band", "The weight held stays: the allocator's differs from it by no more than the band."
    SMALL_ORDER = "small_order", "The weight held stays: the order would be smaller than portfolio.minimum_order."
    LESS_THAN_ONE = "less_than_one", "Nothing is held: the weight is less than one share or lot."
    KEPT = "kept", "The weight held stays, since no new weights were found; table portfolio_runs has the reason."
    NOT_ALLOCATED = (
        "not_allocated",
        "The weight is 0: the ticker is held, but is delisted or no longer on the watch list.",
    )
    NOT_TRADED = (
        "not_traded",
        "The position stays as it is: tonight the ticker has no volatility or no recent bar.",
    )
    LIMITED = "limited", "A limit of risk changed the weight; table limit_events says which."
    UNCHANGED = "unchanged", "The weight of the allocator is the one held."


class PortfolioStatus(Vocabulary):
    """Outcome of an allocator: column `status` of table `portfolio_runs`."""

    DONE = "done", "The weights keep all limits."
    RELAXED = (
        "relaxed",
        "No weights keep all limits: the weights keep limits that were relaxed; column `detail` says how.",
    )
    KEPT = "kept", "No weights were found, for the reason in column `detail`: those held stay."


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


class RiskMethod(Vocabulary):
    """Method by which a risk was computed: column `method` of table `portfolio_risk`."""

    JOINT = (
        "joint",
        "Filtered historical simulation: residuals of all tickers on the same dates, recent dates more probable.",
    )
    TAIL = "tail", "A generalised Pareto tail fitted to the losses of the joint scenarios beyond a threshold."
    DRAWDOWN = "drawdown", "Quantile (var) and tail mean (es) of the largest drawdown on the paths of joint scenarios."
    NORMAL = "normal_ewma", "Benchmark: a normal distribution with exponentially weighted variance of the portfolio."
    HISTORICAL = "historical", "Benchmark: the past returns of today's weights, all dates with equal weight."


class StressKind(Vocabulary):
    """Assumption of a stress test: column `kind` of table `stress_results`."""

    WORST_SESSIONS = "worst_sessions", "The consecutive sessions of the bars in which today's weights would lose most."
    PERIOD = "period", "A period of the past that the settings name."
    FACTOR_SHOCK = "factor_shock", "The first factor of the returns moves, and each ticker by its slope on it."
    CORRELATIONS_TO_ONE = "correlations_to_one", "All tickers move alike, each by a number of its own sigmas."


class LimitName(Vocabulary):
    """Quantity that a limit bounds: column `limit_name` of table `limit_events`."""

    DRAWDOWN = "drawdown", "Drawdown of the equity from its highest value."
    LIQUIDITY = "liquidity", "Value of a position as a share of the ticker's mean value traded per session."
    MAX_WEIGHT = "max_weight", "Absolute weight of a ticker."
    GROUP = "group", "Sum of the absolute weights of a group of tickers."
    NET = "net", "Absolute value of the sum of all weights."
    BETA = "beta", "Absolute beta of the portfolio to the first factor, as a share of that of equal weights."
    ES = "es", "Expected shortfall at the level and the horizon of the settings."
    GROSS = "gross", "Sum of all absolute weights."
    TURNOVER = "turnover", "Sum of the absolute changes of weights, buying and selling both counted."


class LimitAction(Vocabulary):
    """Consequence of a value beyond its bound: column `action` of table `limit_events`."""

    SCALE = "scale", "The weights concerned are made smaller until the value is at the bound."
    DROP = "drop", "Positions are dropped, those first that add most to the value, until it is within the bound."
    BLOCK = "block", "Nothing is traded: the previous weights stay."
    HALT = "halt", "Nothing is traded, and no order is sent until a person resumes."
    WARN = "warn", "Nothing is changed: the limit only warns."


class BrokerName(Vocabulary):
    """Where an account's orders go: column `broker` of table `accounts`."""

    PAPER = "paper", "Nowhere: fills are simulated from the bars of later sessions."
    TICKET = "ticket", "A list of orders that a person enters, and a file of fills back."
    ALPACA = "alpaca", "Alpaca, by its own client."
    IB = "ib", "Interactive Brokers, by TWS or IB Gateway on this or another machine."


class LotMethod(Vocabulary):
    """Lots that a closing trade closes first: column `lot_method` of table `accounts`."""

    FIFO = "fifo", "The oldest lots."
    LIFO = "lifo", "The newest lots."
    HIFO = "hifo", "The lots of the highest cost per share, so that the gain is smallest."
    SPECIFIC = "specific", "The lots that the user names; the oldest ones where none are named."


class Side(Vocabulary):
    """Direction of an order: column `side` of table `orders`."""

    BUY = "buy", "Shares are bought, or a short position is closed."
    SELL = "sell", "Shares are sold, or a short position is opened."


class OrderType(Vocabulary):
    """Condition of the price of an order: column `order_type` of table `orders`."""

    MARKET = "market", "Trade at any price."
    LIMIT = "limit", "Trade at the limit price or a better one."
    STOP = "stop", "Trade at any price once the stop price is reached."


class TimeInForce(Vocabulary):
    """Time for which an order is good: column `time_in_force` of table `orders`."""

    DAY = "day", "The next session of the ticker only."
    GTC = "gtc", "Until it is filled or cancelled."


class OrderPurpose(Vocabulary):
    """What an order is for: column `purpose` of table `orders`."""

    REBALANCE = "rebalance", "To bring a position to its target."
    STOP = "stop", "To close a position at a loss."
    TARGET = "target", "To close a position at a profit."


class OrderState(Vocabulary):
    """State of an order: column `state` of table `order_events`."""

    PLANNED = "planned", "The order is in the ledger, and was not sent."
    SENT = "sent", "The order is being sent; the broker's answer is not recorded yet."
    ACCEPTED = "accepted", "The broker has the order."
    PARTLY_FILLED = "partly_filled", "A part of the order was traded."
    FILLED = "filled", "All of the order was traded."
    CANCELLED = "cancelled", "The order was cancelled, or never sent; what was traded before stays."
    REJECTED = "rejected", "The broker refused the order."
    EXPIRED = "expired", "The order ended without being filled, or the broker never got it."
    UNKNOWN = "unknown", "The answer to the order was lost; the broker must be asked what became of it."


class CashKind(Vocabulary):
    """What an event is about: column `kind` of table `cash_events`."""

    DEPOSIT = "deposit", "Cash paid in."
    WITHDRAWAL = "withdrawal", "Cash taken out."
    IMPORT = "import", "A position that the account had before it was kept here, at its cost."
    DIVIDEND = "dividend", "A dividend, on its ex-date; paid by the account if the position is short."
    SPLIT = "split", "A split: the number of shares changes, and fractions are paid in cash."
    FEE = "fee", "A fee that belongs to no trade."
    INTEREST = "interest", "Interest; negative if the account pays it."
    DELISTING = "delisting", "The position was closed at the last price because the ticker trades no more."
    CORRECTION = "correction", "A correction of an earlier event, of which a source now tells otherwise."
    ACCEPTED = "accepted", "A difference from the broker's account, in cash or shares, that a person accepted."
    CLOSED = "closed", "The account was closed: it was empty, and gets no targets and no orders any more."


class HaltAction(Vocabulary):
    """Whether trading was stopped or allowed again: column `action` of table `halts`."""

    HALT = "halt", "No order is sent from then on."
    RESUME = "resume", "Orders are sent again."


class HaltCause(Vocabulary):
    """What stopped trading: column `cause` of table `halts`."""

    HAND = "hand", "A person: `pm halt`, or the file HALT in the workspace."
    DRAWDOWN = "drawdown", "The account fell too far below its peak: limit drawdown of config/risk.yml."
    RECONCILIATION = "reconciliation", "The broker's positions or cash differ from those of the ledger."
    STALE_DATA = "stale_data", "The newest bar is older than broker.halt_stale_days."
    REJECTS = "rejects", "The broker rejected broker.halt_rejects orders in a row."
    LIMIT = "limit", "A limit of config/risk.yml whose action is halt was exceeded, or its value was not known."
    CLOCK = "clock", "The clock of this machine differs from the broker's by more than broker.halt_clock_seconds."


class HealthStatus(Vocabulary):
    """Result of a check of the system: column `status` of table `health_checks`."""

    HEALTHY = "healthy", "Nothing is wrong, by the rule of the check."
    NO_DATA = "no data", "There is nothing to check yet; the check says what is missing, and when it will be there."
    DEGRADED = (
        "degraded",
        "Something is worse than it should be: results are right, but late, incomplete or less reliable.",
    )
    FAILING = "failing", "Something is broken: results are missing or cannot be relied on."


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


class TrialState(Vocabulary):
    """What a row of the ledger of trials says: column `state` of table `trials`."""

    STARTED = "started", "The trial is about to be computed; it counts from here on."
    DONE = "done", "The trial has returns."
    FAILED = "failed", "The trial ended with an error; it counts."
    KILLED = "killed", "The trial never ended, as a later one found; it counts."


class FillKind(Vocabulary):
    """Price of a simulated fill: column `kind` of table `trial_fills`."""

    OPEN = "open", "The open of the session after the decision."
    CLOSE = "close", "The close of that session, whose bar has no open."
    STOPPED = "stopped", "The last close of a ticker that has not traded since: its position was closed."


class Proof(Vocabulary):
    """What returns prove: column `verdict` of table `trial_tests`."""

    PROVEN = "proven", "It is better than its benchmark, beyond the luck of the best of all trials."
    NOT_PROVEN = "not_proven", "What it made can be luck; the reasons say what is missing."
    WORSE = "worse_than_benchmark", "It is worse than its benchmark, by more than 1.645 standard errors."


class Judgement(Vocabulary):
    """What a test says: column `verdict` of table `validations`."""

    HOLDS = "holds", "What was said can be right: no test refutes it."
    REFUTED = "refuted", "What was said is wrong, beyond chance."
    BETTER = "better", "It did better than what it is compared with, beyond chance."
    NOT_BETTER = "not_better", "It did not do better than what it is compared with, or not beyond chance."
    WORSE = "worse", "It did worse than what it is compared with, beyond chance."
    TOO_EARLY = "too_early", "There are too few outcomes to tell; the reason says how many, and the next is `due`."
