"""Which tickers of a joint model are not traded on its day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.exclusions import Exclusion
from pm.prices import newest_bars_of_each
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from pm.risk.joint_inputs import JointInputs

__all__ = ["not_traded"]


def not_traded(joint: JointInputs, delisted: Collection[str], *, max_age_days: int) -> dict[str, Exclusion]:
    """Return the tickers of the joint model that are not traded on its day, each with the reason.

    Parameters
    ----------
    joint
        Joint model and bars of the day.
    delisted
        Tickers known to be delisted.
    max_age_days
        Largest age in days of the newest bar of a ticker that is traded.
    """
    found = {
        ticker: Exclusion(Reason.STAND_IN, f"{ticker} has no fitted volatility and is not traded; {detail}")
        for ticker, detail in joint.stand_ins.items()
    }
    newest = newest_bars_of_each(joint.bars)
    for ticker, day in zip(newest["ticker"].to_list(), newest["date"].to_list(), strict=True):
        age = (joint.as_of - day).days
        if ticker in delisted:
            found[ticker] = Exclusion(Reason.DELISTED, f"{ticker} is delisted; its last bar is of {day}")
        elif age > max_age_days:
            detail = f"last bar {day} is {age} days old on {joint.as_of}, at most {max_age_days} allowed"
            found.setdefault(ticker, Exclusion(Reason.STALE, detail))
    return found
