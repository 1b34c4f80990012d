"""Stage `ledger`: bring accounts up to the day, before their risk and their targets are computed.

Dividends and splits are recorded, and orders of paper accounts are filled from the new bars.
"""

from __future__ import annotations

from pm.pipeline.holdings import is_look
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import new_rows, read_ledger
from pm.pipeline.trading_day import Night, bring_up_to_date, last_day
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.sources import RAW_ACTIONS

__all__ = ["STAGE"]


def _compute(context: Context) -> Result:
    if is_look(context):
        return Result([], "a look at another day or at a part leaves the ledger alone")
    ledger = read_ledger(context)
    if not ledger.accounts:
        return Result([], "no account; open one with pm account open")
    night = Night(context, ledger, watch_list(context).as_of)
    since = last_day(ledger)
    for name in sorted(ledger.accounts):
        bring_up_to_date(night, name, since)
    head = ledger.journal.head
    ledger.add_head(rows=head.sequence, head=head.hash, cutoff=night.as_of, limit_events=None)
    for note in night.notes:
        context.notify(note)
    counts = (
        plural(len(ledger.open_accounts), "account"),
        plural(night.fills, "fill"),
        plural(night.events, "dividend or split", "dividends or splits"),
    )
    return Result(new_rows(ledger), ", ".join(counts))


def _depends(context: Context) -> list[object]:
    """Return what the day's events depend on besides tables: the request, and what the user has told of accounts."""
    told = context.known_rows(
        "SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM cash_events "
        "WHERE kind IN ('deposit', 'withdrawal', 'import', 'closed')) AS events"
    )[0]
    return [scope(context), told["accounts"], told["events"]]


STAGE = Stage(
    "ledger",
    _compute,
    reads=(*WATCH_LIST_TABLES, RAW_ACTIONS),
    writes=CHAINED_TABLES,
    sections=("broker",),
    depends=_depends,
)
"""Record dividends, splits and simulated fills of accounts up to the day."""
