"""What is held today, as weights: of an account, or of a model portfolio that follows its targets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import polars as pl

__all__ = ["Held", "drifted_weights", "held_of_accounts"]


@dataclass(frozen=True)
class Held:
    """A portfolio before trading.

    Attributes
    ----------
    portfolio
        Name of the account, or `pm.tables.risk.MODEL_PORTFOLIO`.
    currency
        Currency that it is valued in.
    equity
        Value of all positions and of the cash.
    weights
        Value of each position as a share of equity, at today's prices; empty if nothing is held.
    shares
        Number of shares of each position; empty where it is not known.
    currencies
        Code of the currency of each position's price, as the ledger has it.
    fractional
        Whether it can hold fractions of a share; None for what the settings say.
    stays
        Tickers whose positions are not traded tonight: they count in limits and in volatility, and stay as they are.
    problem
        Why the value of the portfolio is not known, as a sentence; None if it is. Nothing is traded then.
    """

    portfolio: str
    currency: str
    equity: float
    weights: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)
    fractional: bool | None = None
    stays: Collection[str] = ()
    problem: str | None = None


def drifted_weights(weights: Mapping[str, float], growth: Mapping[str, float]) -> dict[str, float]:
    """Return what weights have become since prices moved; the rest of the portfolio is cash, which stays.

    Parameters
    ----------
    weights
        Weights then, by ticker.
    growth
        Ratio of the price today to the price then, dividends included, by ticker; a ticker without one has not moved.

    Returns
    -------
    Weights today; empty if nothing is left of the portfolio.

    Examples
    --------
    >>> drifted_weights({"A": 0.5}, {"A": 2.0})
    {'A': 0.6666666666666666}
    """
    values = {ticker: weight * growth.get(ticker, 1.0) for ticker, weight in weights.items()}
    total = 1.0 - sum(weights.values()) + sum(values.values())
    if not np.isfinite(total) or total <= 0:
        return {}
    return {ticker: value / total for ticker, value in values.items()}


def held_of_accounts(
    positions: pl.DataFrame, equity: pl.DataFrame, fractional: Mapping[str, bool] | None = None
) -> list[Held]:
    """Return what each account holds.

    Parameters
    ----------
    positions
        Columns account, ticker, currency, quantity (negative for a short position), and base_value: the value of the
        position in the base currency of the account, null if there is no price or no rate.
    equity
        Columns account, date, currency (the base currency) and equity; the newest row of each account counts.
    fractional
        Whether an account can hold fractions of a share, by name.

    Returns
    -------
    The accounts, sorted by name. One with a position of unknown value, or without a positive equity, has a `problem`.
    """
    newest = equity.sort("account", "date").group_by("account", maintain_order=True).last()
    flags = fractional or {}
    return [
        replace(
            _held_of_account(row["account"], row["currency"], row["equity"], positions.filter(account=row["account"])),
            currencies=dict(positions.filter(account=row["account"]).select("ticker", "currency").iter_rows()),
            fractional=flags.get(row["account"]),
        )
        for row in newest.iter_rows(named=True)
    ]


def _held_of_account(name: str, currency: str, equity: Decimal | float | None, positions: pl.DataFrame) -> Held:
    shares = {row["ticker"]: Decimal(str(row["quantity"])) for row in positions.iter_rows(named=True)}
    values = {row["ticker"]: row["base_value"] for row in positions.iter_rows(named=True)}
    unknown = sorted(ticker for ticker, value in values.items() if value is None or not np.isfinite(float(value)))
    if unknown:
        why = f"there is no price, in {currency}, of {', '.join(unknown)}, which the account holds"
        return Held(name, currency, float("nan"), {}, shares, problem=why)
    total = float("nan") if equity is None else float(equity)
    if not total > 0:
        why = f"the equity of the account is {total:,.2f}, which is not positive"
        return Held(name, currency, total, {}, shares, problem=why)
    return Held(name, currency, total, {ticker: float(value) / total for ticker, value in values.items()}, shares)
