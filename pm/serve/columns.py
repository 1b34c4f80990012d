"""Columns of the tables of the pages, and the sentences above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.number_format import integer, money, percent, price, ratio, shares, signed_percent
from pm.report.proof import PROOF_WORDS
from pm.serve.tables import Column, words

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "BACKTESTS",
    "BATCHES",
    "COVERAGE",
    "EXCLUSIONS",
    "FLAGS",
    "HEALTH",
    "MODELS",
    "OF_BACKTESTS",
    "OF_COVERAGE",
    "OF_FLAGS",
    "OF_HEALTH",
    "OF_MODELS",
    "OF_RISK",
    "OF_SCORES",
    "OF_TARGETS",
    "OF_TRIALS",
    "ORDERS",
    "POSITIONS",
    "REFUSED",
    "RISK",
    "SCORES",
    "TARGETS",
    "TRIALS",
]


def _basis(value: str) -> str:
    return "nights" if value == "runs" else value


def _verdict(value: str | None) -> str:
    return PROOF_WORDS.get(value or "", "not judged")


def _minute(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M}"


POSITIONS = (
    Column("account", "Account"), Column("ticker", "Ticker"), Column("quantity", "Shares", shares, number=True),
    Column("average_cost", "Average cost", price, number=True), Column("price", "Close", price, number=True),
    Column("currency", "Currency"), Column("price_date", "Of"), Column("base_value", "Value", money, number=True),
    Column("base_gain", "Gain", money, number=True),
)  # fmt: skip
ORDERS = (
    Column("account", "Account"), Column("ticker", "Ticker"), Column("side", "Order"),
    Column("quantity", "Shares", shares, number=True), Column("filled", "Filled", shares, number=True),
    Column("order_type", "Type", words), Column("limit_price", "Limit", price, number=True),
    Column("state", "State", words),
)  # fmt: skip
TARGETS = (
    Column("portfolio", "Portfolio"), Column("ticker", "Ticker"),
    Column("previous_weight", "Held", percent, number=True), Column("weight", "Target", percent, number=True),
    Column("shares", "Shares", shares, number=True), Column("reason", "Why", words),
)  # fmt: skip
OF_TARGETS = "Held and target: shares of the portfolio's value."
RISK = (
    Column("portfolio", "Portfolio"), Column("method", "Method", words),
    Column("horizon", "Sessions", integer, number=True),
    Column("level", "Level", percent, number=True), Column("var", "Value at risk", percent, number=True),
    Column("es", "Expected shortfall", percent, number=True),
)  # fmt: skip
OF_RISK = (
    "Losses as shares of the portfolio's value. Value at risk: the loss that is not exceeded with the probability "
    "of the level. Expected shortfall: the mean loss beyond it. Method drawdown is of the largest fall within the "
    "sessions. “Proposed” is after the targets are traded."
)
_ENDS = "Of the shortest and the longest step; the downloads have all."
SCORES = (
    Column("basis", "Of", _basis), Column("action", "Action"), Column("signals", "Signals", integer, number=True),
    Column("dates", "Dates", integer, number=True), Column("confidence", "Said", percent, number=True),
    Column("came_true", "Came true", percent, number=True), Column("inside", "Inside interval", percent, number=True),
    Column("expected_return", "Median forecast", signed_percent, number=True),
    Column("mean_return", "Mean return", signed_percent, number=True),
    Column("net_return", "After costs", signed_percent, number=True),
)  # fmt: skip
OF_SCORES = (
    "Said: the mean probability that the signal comes true: for BUY a gain and for SELL a loss beyond the costs, for "
    "HOLD neither. After costs: the mean return of following the signal."
)
COVERAGE = (
    Column("basis", "Of", _basis), Column("step", "Sessions ahead", integer, number=True),
    Column("level", "Interval", percent, number=True), Column("forecasts", "Forecasts", integer, number=True),
    Column("coverage", "Closes inside", percent, number=True), Column("lower", "From", percent, number=True),
    Column("upper", "To", percent, number=True),
)  # fmt: skip
OF_COVERAGE = (
    "A 90% interval is right if 90% of the closes are inside. From and to: 95% interval of that share, as for "
    f"independent outcomes. {_ENDS}"
)
BACKTESTS = (
    Column("portfolio", "Portfolio"), Column("horizon", "Sessions", integer, number=True),
    Column("level", "Level", percent, number=True), Column("forecasts", "Forecasts", integer, number=True),
    Column("exceptions", "Exceeded", integer, number=True), Column("kupiec_p", "Kupiec's p", ratio, number=True),
    Column("zone", "Basel's zone"),
)  # fmt: skip
OF_BACKTESTS = (
    "Of nights, by joint scenarios; the downloads have other methods. Exceeded: how often the loss was larger than the "
    "value at risk. Kupiec's p below 0.05 says that this is not the share that it should be."
)
MODELS = (
    Column("basis", "Of", _basis), Column("step", "Sessions ahead", integer, number=True),
    Column("place", "Place", integer, number=True), Column("model", "Model"),
    Column("forecasts", "Forecasts", integer, number=True), Column("relative_rmse", "Error", ratio, number=True),
    Column("relative_crps", "Score", ratio, number=True),
)  # fmt: skip
OF_MODELS = (
    "Error (root mean squared) and score (CRPS) divided by those of the martingale, which assumes no change: below 1 "
    f"is better. {_ENDS}"
)
TRIALS = (
    Column("name", "Trial"), Column("state", "State", words), Column("from_date", "From"), Column("to_date", "To"),
    Column("allocator", "Allocator", words), Column("benchmark", "Benchmark"), Column("verdict", "Verdict", _verdict),
    Column("annual_return", "Per year", signed_percent, number=True),
    Column("annual_benchmark", "Benchmark's", signed_percent, number=True),
    Column("annual_sharpe", "Sharpe", ratio, number=True), Column("reasons", "Why"),
)  # fmt: skip
OF_TRIALS = (
    "Backtests, also those that failed: whoever tries many finds a good one by chance, which the verdict counts."
)
HEALTH = (
    Column("ticker", "Ticker"), Column("source", "Source"), Column("status", "Status"), Column("last_date", "Last bar"),
    Column("lag", "Behind", integer, number=True), Column("bars", "Bars", integer, number=True),
    Column("gaps", "Gaps", integer, number=True), Column("quarantined", "Refused", integer, number=True),
    Column("restated", "Restated", integer, number=True), Column("last_reason", "Last answer", words),
)  # fmt: skip
OF_HEALTH = "Behind: sessions of the exchange that have closed since the last bar."
EXCLUSIONS = (
    Column("ticker", "Ticker"), Column("stage", "Stage"), Column("reason", "Reason", words), Column("detail", "Detail"),
    Column("run_id", "Run"),
)  # fmt: skip
REFUSED = (
    Column("ticker", "Ticker"), Column("date", "Session"), Column("rule", "Rule"), Column("original", "Row as it came"),
    Column("batch_id", "Batch"), Column("row", "Place", integer, number=True),
)  # fmt: skip
FLAGS = (
    Column("ticker", "Ticker"), Column("date", "Session"), Column("rule", "Rule", words), Column("detail", "Detail"),
)  # fmt: skip
OF_FLAGS = "Bars that were kept but look doubtful."
BATCHES = (
    Column("landed_at", "Landed (UTC)", _minute), Column("origin", "Source"), Column("path", "File"),
    Column("landed", "Rows", integer, number=True), Column("inserted", "New", integer, number=True),
    Column("updated", "Changed", integer, number=True), Column("unchanged", "Unchanged", integer, number=True),
    Column("quarantined", "Refused", integer, number=True),
)  # fmt: skip
