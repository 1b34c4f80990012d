"""Say in words why a ticker was left out or simplified, and what a bar was flagged as."""

from __future__ import annotations

from pm.tables.vocabulary import Reason

__all__ = ["FLAGGED", "LEFT_OUT", "SIMPLIFIED"]

LEFT_OUT = {
    Reason.NO_PRICES.value: "there is no usable bar of it",
    Reason.DUPLICATE_DATES.value: "two of its bars have the same date",
    Reason.BAD_PRICE.value: "one of its prices is missing or not positive",
    Reason.BAD_RETURN.value: "one of its returns is missing or not finite",
    Reason.STALE.value: "its last bar is too old",
    Reason.TOO_FEW_BARS.value: "it has fewer bars than the simplest forecaster needs",
    Reason.TOO_FEW_RETURNS.value: "it has fewer returns than an estimate of its volatility needs",
    Reason.CONSTANT.value: "its price hardly moves, so that there is no volatility to estimate",
    Reason.OUT_OF_RANGE.value: "its prices differ so much that no quantile can be computed",
    Reason.NO_VOLATILITY.value: "there is no forecast of its volatility for every session",
    Reason.ORIGIN_MISMATCH.value: "its forecast and its volatility start from different dates",
    Reason.NO_TARGETS.value: "the sessions to forecast are not known",
    Reason.AMBIGUOUS_FORECAST.value: "there are two forecasts of it",
    Reason.NON_FINITE_FORECAST.value: "a number of its forecast is missing or not finite",
    Reason.NON_POSITIVE_FORECAST.value: "a price of its forecast is not positive",
    Reason.UNORDERED_QUANTILES.value: "the quantiles of its forecast do not increase with their level",
    Reason.TOO_LITTLE_HISTORY.value: "its history is too short for a forecast that says anything",
    Reason.NOT_IN_RISK.value: "it has no fitted volatility, so that its joint risk is not known",
    Reason.DELISTED.value: "the watch list says that it is delisted, so that it is not bought",
    Reason.NO_RATE.value: "there are no bars of the rate between its currency and that of the portfolio",
    Reason.OUT_OF_REACH.value: "the broker of an account cannot be sent orders in it",
    Reason.IS_A_RATE.value: "it is a rate of exchange, which values other tickers and is not held",
    Reason.FAILED.value: "a stage raised an error for it",
}
"""Why a ticker has no signal, by the reason in table `exclusions`."""

SIMPLIFIED = {
    Reason.SHORT_HISTORY.value: "its history is too short for the full model, so that a simpler one was used",
    Reason.NOT_CONVERGED.value: "no GARCH model converged, so that a simpler one was used",
    Reason.BAD_ESTIMATE.value: "the estimates of GARCH are not finite, so that a simpler model was used",
    Reason.NOT_STATIONARY.value: "no GARCH fit has a long-run level of variance, so that fits without one were used",
    Reason.JUMP_LEFT_OUT.value: "returns that look like unadjusted splits or bad quotes were dropped",
    Reason.STAND_IN.value: "it is held without a fit of its volatility, so that its risk is that of a simple estimate",
    Reason.RESIDUALS_FILLED.value: "on some dates of the others it had no return, so that its joint risk was filled in",
    Reason.QUIET_PAST_LEFT_OUT.value: "returns before the end of a halt or a currency peg were dropped",
    Reason.RANGES_NOT_USED.value: "the ranges of its bars contradict its closes, so that only closes were used",
}
"""How a ticker was simplified, by the reason in table `exclusions`; `late` is told by the date of its last bar."""

FLAGGED = {
    "jump": "a jump",
    "split": "a likely split",
    "stale": "the first of a run of unchanged closes",
    "gap": "the first after a gap",
    "break": "the first after a break between two deliveries",
    "dividends_left_out": "having dividends that were left out",
    "repeated": "repeated in its file",
    "range_dropped": "having no usable range",
    "no_session": "on a day without a session",
}
"""What a bar was flagged as, by the rule in table `bar_flags`."""
