"""`pm backtest`: walk the decisions over past dates, and record what they would have made as a trial."""

from __future__ import annotations

from datetime import date, datetime
from getpass import getuser
from typing import Annotated

import typer

from pm.cli.context import open_workspace, open_writer
from pm.cli.options import Address, Engine, Jobs, NoWait, Source, Tickers, parse_tickers

__all__ = ["backtest"]

_LARGEST_COST = 0.1
"""Largest cost of a trade, as a share of its value: any more is a slip."""


def backtest(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the trial. [default: one made from its configuration]")
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            metavar="DATE",
            formats=["%Y-%m-%d"],
            help="First date of a decision. [default: the first with a year of sessions up to it]",
        ),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option(
            "--to", metavar="DATE", formats=["%Y-%m-%d"], help="Last session; nothing after it is read. [default: all]"
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=250,
            help="Number of sessions from one decision to the next. [default: validation.step]",
        ),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(
            metavar="COSTS",
            help="Cost of buying or of selling, such as 0.1%; 'none' marks the trial. "
            "[default: half of signals.round_trip_cost]",
        ),
    ] = None,
    allocator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Allocator of the weights. [default: portfolio.allocator]")
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="equal, cash, or a ticker that has bars. [default: validation.benchmark]"),
    ] = None,
    deposit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATE=AMOUNT", help="Cash paid in before a session; negative if taken out. Can be repeated."
        ),
    ] = None,
    source: Source = None,
    tickers: Tickers = None,
    jobs: Jobs = 0,
    engine: Engine = None,
    address: Address = None,
    no_wait: NoWait = False,
) -> None:
    """Walk the decisions over past dates, and say what they prove.

    On each date, the targets are those that `pm run` would have proposed on that day, from the bars up to it; they are
    filled at the open of the next session. Forecasts from past dates are stored, and used again by the next trial.

    Every backtest is recorded as a trial, also one that is interrupted: the more was tried, the better the best of it
    must be. `pm trials` lists them.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.cli.trials import print_trial
    from pm.pipeline import Request, check_first_run
    from pm.pipeline import backtest as run_backtest
    from pm.pipeline.stages.backtest import TrialRequest

    if first is not None and last is not None and first >= last:
        raise typer.BadParameter(f"{first:%Y-%m-%d} is not before --to {last:%Y-%m-%d}", param_hint="--from")
    request = Request(source, parse_tickers(tickers), last.date() if last else None, jobs, engine, address)
    trial = TrialRequest(
        name,
        first.date() if first else None,
        step,
        _parse_costs(costs),
        _parse_allocator(allocator),
        benchmark,
        tuple(_parse_deposit(text) for text in deposit or ()),
        _user(),
    )
    workspace, settings = open_workspace(
        context, create=True, check=lambda settings: check_first_run(settings, request)
    )
    message = "Interrupted. Forecasts that were committed are kept; a trial that had started counts."
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible(message) as wrap, progress_shown() as observer:
            result = run_backtest(
                lake, workspace, settings, wrap(observer), request=of_known(lake, request), trial=trial
            )
        print_trial(lake, result.run_id)


def _user() -> str | None:
    """Return the user of the operating system; None where it has no name, as in a container."""
    try:
        return getuser()
    except (OSError, KeyError, ImportError):
        return None


def _parse_costs(text: str | None) -> float | None:
    if text is None:
        return None
    if text.strip().lower() == "none":
        return 0.0
    try:
        number = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 < number <= _LARGEST_COST:
        raise typer.BadParameter(
            f"write 'none', or a share above 0% and up to {_LARGEST_COST:.0%}, such as 0.1%", param_hint="--costs"
        )
    return number


def _parse_allocator(name: str | None) -> str | None:
    from pm.errors import did_you_mean
    from pm.settings import ALLOCATOR_NAMES

    if name is not None and name not in ALLOCATOR_NAMES:
        guess = did_you_mean(name, ALLOCATOR_NAMES)
        raise typer.BadParameter(
            f"there is no allocator {name!r}.{guess} There are: {', '.join(ALLOCATOR_NAMES)}", param_hint="--allocator"
        )
    return name


def _parse_deposit(text: str) -> tuple[date, float]:
    day, _, amount = text.partition("=")
    try:
        parsed = date.fromisoformat(day.strip()), float(amount)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no deposit; write a date and an amount, such as 2020-03-02=10000", param_hint="--deposit"
        ) from None
    if not abs(parsed[1]) < 1e15:
        raise typer.BadParameter(f"{text!r}: the amount is not a number up to 1e15", param_hint="--deposit")
    return parsed
