"""`pm status`: how things stand on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 - typer reads annotations when the program runs

from pm.age import age
from pm.cli.context import open_workspace
from pm.clock import utc_today

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from pm.lake import Lake

__all__ = ["status"]

_TEXT = 12
"""Number of characters before the text of a line: those of its subject."""


def status(context: typer.Context) -> None:
    """Show on one screen what to do, what you own, what you can lose, how fresh it is, and what is wrong."""
    from pm.cli.listing import current_listing
    from pm.cli.render import print_frame, print_lines
    from pm.monitor import worst
    from pm.pipeline import read_lake
    from pm.pipeline.monitoring import check_system
    from pm.tables.vocabulary import HealthStatus

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake:
        with lake.reading():
            dates = lake.select_rows("latest_bars", columns=("date",), order=("date",), descending=("date",), limit=1)
            lines = [*_signals(lake), *_accounts(lake), *_risk(lake)]
        findings = check_system(workspace, settings, lake)
    unwell = [f for f in findings if f.status in {HealthStatus.DEGRADED, HealthStatus.FAILING}]
    newest_bar = "".join(f"The newest bar is of {row['date']}, {age(row['date'], utc_today())}. " for row in dates)
    fresh = next(finding for finding in findings if finding.subject == "bars")
    lines = [
        f"Workspace   {workspace.root}",
        *lines,
        f"Freshness   {newest_bar}{fresh.detail}",
        f"State       {worst(findings)}" + (": pm monitor has the rules" if unwell else ""),
        *(f"            {finding.status}: {finding.subject}. {finding.detail}" for finding in unwell),
    ]
    if current_listing() is not None:
        print_frame(_as_frame(lines))
    else:
        print_lines(*lines)


def _as_frame(lines: Sequence[str]) -> pl.DataFrame:
    """Return the lines as rows: the subject, that of the line before where a line has none, and what is said of it."""
    import polars as pl

    frame = pl.DataFrame(
        {"subject": [line[:_TEXT].strip() for line in lines], "text": [line[_TEXT:] for line in lines]}
    )
    return frame.with_columns(pl.col("subject").replace("", None).forward_fill())


def _signals(lake: Lake) -> list[str]:
    from pm.cli.render import join_names

    runs = lake.select_rows("latest_run", columns=("run_id", "as_of", "finished_at"))
    if not runs:
        return ["Newest run  none yet: pm run"]
    run = runs[0]
    rows = lake.select_rows("latest_signals", columns=("ticker", "action", "size"), order=("ticker",))
    edges = lake.select("latest_weights", columns=("ticker",), model="ensemble", verdict="edge").height
    lines = [f"Newest run  {run['run_id']} of {run['finished_at']:%Y-%m-%d %H:%M} UTC, signals of {run['as_of']}"]
    for action in ("BUY", "SELL", "HOLD"):
        names = [row["ticker"] for row in rows if row["action"] == action]
        if names:
            lines.append(f"{action:<11} {join_names(names, limit=8)}")
    lines.append(f"Edge        for {edges:,} of {len(rows):,} tickers" if edges else "Edge        for no ticker")
    orders = lake.select_rows("open_orders", columns=("account", "ticker", "side", "quantity", "state"))
    lines += [
        f"Order       {row['side']} {row['quantity'].normalize():f} {row['ticker']} ({row['account']}, {row['state']})"
        for row in orders[:8]
    ]
    if len(orders) > 8:
        lines.append(f"            and {len(orders) - 8:,} more: pm trade orders")
    return lines


def _accounts(lake: Lake) -> list[str]:
    accounts = [row for row in lake.select_rows("latest_accounts", order=("account",)) if row["closed"] is None]
    if not accounts:
        return ["Account     none: pm account open"]
    lines = []
    for row in accounts:
        if row["day"] is None:
            lines.append(f"Account     {row['account']}: nothing is in it yet: pm account deposit, pm account import")
            continue
        lines.append(
            f"Account     {row['account']}: {_money(row['equity'])} {row['currency']} on {row['day']}, "
            f"{_money(row['cash'])} of it cash; return {_share(row['return'])}, drawdown {_share(row['drawdown'])}"
        )
        held = lake.select_rows("positions", account=row["account"], order=("ticker",))
        lines += [
            f"Position    {one['quantity'].normalize():f} {one['ticker']}, worth {_money(one['base_value'])}, "
            f"gain {_money(one['base_gain'])}"
            for one in held[:8]
        ]
        if len(held) > 8:
            lines.append(f"            and {len(held) - 8:,} more: pm trade positions")
    return lines


def _risk(lake: Lake) -> list[str]:
    rows = lake.select_rows("latest_risk", method="joint", order=("portfolio", "horizon", "level"))
    own = [row for row in rows if not row["portfolio"].endswith(" proposed")]
    if not own:
        return []
    row = max(own, key=lambda row: (row["horizon"] == 1, row["level"]))
    whose = "equal weights of all tickers" if row["portfolio"] == "model" else row["portfolio"]
    sessions = "a session" if row["horizon"] == 1 else f"{row['horizon']} sessions"
    loss = f"over {sessions} the loss exceeds {row['var']:.1%} with a probability of {1 - row['level']:.1%}"
    return [f"Risk        {whose}: {loss}; the mean beyond is {row['es']:.1%}"]


def _money(value: Any) -> str:  # noqa: ANN401 - a decimal or nothing
    return "–" if value is None else f"{value:,.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"
