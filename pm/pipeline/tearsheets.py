"""Read what a tearsheet shows: the returns of an account, a trial or a ticker, and what they are compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pm.clock import utc_today
from pm.errors import NoResultsError
from pm.number_format import money, percent
from pm.plural import plural
from pm.report.returns import ReturnSeries
from pm.report.tearsheet import Tearsheet, judged

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.settings import Settings

__all__ = ["account_tearsheet", "ticker_tearsheet", "trial_tearsheet"]

_EQUAL = """
SELECT date, avg(simple_return) AS daily_return
FROM returns
WHERE date IN (SELECT date FROM bars WHERE ticker = ?) AND isfinite(simple_return)
GROUP BY date
"""
_CHANCE = "Beyond chance, did it do better than {benchmark}? {picked}"


def account_tearsheet(lake: Lake, settings: Settings, account: str) -> Tearsheet:
    """Return the tearsheet of an account beside equal weights of what was forecast, and the benchmark.

    Raises
    ------
    NoResultsError
        The account has no daily return yet.
    """
    days = lake.select("drawdowns", account=account)
    series = ReturnSeries.from_frame(account, days)
    _require(series, f"Account {account!r} has no daily return yet.", "view drawdowns")
    equal = ReturnSeries.from_frame("1/N", lake.select("equal_weights"))
    made = lake.select_rows("performance", account=account)[0]
    facts = [
        ("Equity", f"{money(_number(made['equity']))} {made['currency']}"),
        ("Paid in, shares too", money(_number(days["flow"].sum()))),
        ("Realised gains", money(_number(made["realised_gain"]))),
        ("Dividends", money(_number(made["dividends"]))),
        ("Commissions", money(_number(made["commissions"]))),
    ]
    trials = len(lake.select_rows("accounts", columns=("account",)))
    sheet = Tearsheet(
        kind="account",
        series=series,
        others=[*([equal] if equal.dates else []), *_benchmark(lake, settings)],
        facts=facts,
        sources=[
            ("Daily returns", _query("drawdowns", "account", account, order="date")),
            ("Equal weights (1/N)", "SELECT date, daily_return FROM equal_weights ORDER BY date"),
            ("What it made", _query("performance", "account", account)),
        ],
        made_on=utc_today(),
    )
    return _judged(sheet, settings, trials=trials)


def ticker_tearsheet(lake: Lake, settings: Settings, ticker: str) -> Tearsheet:
    """Return the tearsheet of holding a ticker, beside equal weights of all tickers on its sessions, and the benchmark.

    Raises
    ------
    NoResultsError
        The ticker has fewer than two bars.
    """
    closes = lake.select("adjusted_bars", columns=("date", "close"), ticker=ticker)
    series = ReturnSeries.from_closes(ticker, closes)
    _require(series, f"{ticker!r} has fewer than two bars.", "view adjusted_bars")
    equal = ReturnSeries.from_frame("1/N", lake.query(_EQUAL, [ticker]))
    trials = int(lake.scalar("SELECT count(DISTINCT ticker) FROM bars") or 1)
    sheet = Tearsheet(
        kind="ticker",
        series=series,
        others=[equal, *_benchmark(lake, settings, but=ticker)],
        facts=[("Sessions", plural(len(series.returns), "return")), ("Costs", "none, and dividends reinvested")],
        sources=[
            ("Adjusted closes", _query("adjusted_bars", "ticker", ticker, order="date")),
            (
                "Equal weights of all tickers",
                "SELECT date, avg(simple_return) FROM returns GROUP BY date ORDER BY date",
            ),
        ],
        made_on=utc_today(),
    )
    return _judged(sheet, settings, trials=trials)


def trial_tearsheet(lake: Lake, row: dict[str, Any]) -> Tearsheet:
    """Return the tearsheet of a trial after costs, beside its benchmark and equal weights, with its own verdict.

    Parameters
    ----------
    row
        Row of view `trial_verdicts`.

    Raises
    ------
    NoResultsError
        The trial has no returns.
    """
    returns = lake.select("trial_returns", trial_id=row["trial_id"])
    series = ReturnSeries.from_frame(row["name"], returns, "net")
    _require(series, f"Trial {row['name']!r} has no returns.", "table trial_returns")
    others = [ReturnSeries.from_frame("1/N", returns, "equal")]
    if row["benchmark"] != "equal":
        others.append(ReturnSeries.from_frame(row["benchmark"], returns, "benchmark"))
    trials = row["trials"] or 0
    return Tearsheet(
        kind="trial",
        series=series,
        others=others,
        verdict=row["verdict"],
        reasons=(row["reasons"],) if row["reasons"] else (),
        basis=f"A backtest, after costs, judged as one of {plural(trials, 'trial')} that were ever run."
        if row["verdict"]
        else "A backtest, after costs, that was not judged yet: pm trials judge",
        facts=[
            ("Allocator", row["allocator"]),
            ("Tickers", str(row["tickers"])),
            ("Decisions", str(row["decisions"])),
            ("Cost of a trade", percent(row["cost"], 3)),
        ],
        sources=[
            ("Returns", _query("trial_returns", "trial_id", row["trial_id"], order="date")),
            ("Verdict", _query("trial_verdicts", "trial_id", row["trial_id"])),
        ],
        made_on=utc_today(),
    )


def _judged(sheet: Tearsheet, settings: Settings, *, trials: int) -> Tearsheet:
    """Return a tearsheet with the verdict of its series over the first that it is compared with."""
    if not sheet.others:
        return replace(sheet, basis="There is nothing yet to compare it with.")
    chosen = settings.validation
    verdict, reasons = judged(sheet.series, sheet.others[0], trials=trials, reps=chosen.bootstrap, seed=chosen.seed)
    picked = f"Judged as one of {plural(trials, sheet.kind)} that could have been picked." if trials > 1 else ""
    basis = _CHANCE.format(benchmark=sheet.others[0].name, picked=picked).strip()
    return replace(sheet, verdict=verdict, reasons=reasons, basis=basis)


def _benchmark(lake: Lake, settings: Settings, *, but: str | None = None) -> list[ReturnSeries]:
    """Return the ticker that the settings compare with, if there is one."""
    name = settings.validation.benchmark
    closes = lake.select("adjusted_bars", columns=("date", "close"), ticker=name)
    return [ReturnSeries.from_closes(name, closes)] if closes.height > 1 and name != but else []


def _require(series: ReturnSeries, what: str, where: str) -> None:
    if not len(series.returns):
        raise NoResultsError(what, where=where, hint="come back when there are two days, or choose another")


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _query(relation: str, column: str, value: str, *, order: str = "") -> str:
    """Return a query for a reader: all rows of a relation that have a value."""
    text = value.replace("'", "''")
    ordered = f" ORDER BY {order}" if order else ""
    return f"SELECT * FROM {relation} WHERE {column} = '{text}'{ordered}"  # noqa: S608 - shown, and run nowhere here
