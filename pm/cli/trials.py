"""`pm trials`: list the trials, show what one proves, and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.completion import complete_trial
from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - typer reads annotations when the program runs
from pm.cli.visible import visible_line
from pm.errors import InputError, NoResultsError, did_you_mean
from pm.plural import plural

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["app", "one_trial", "print_trial"]

_COMPARED = {
    "name": "name",
    "days": "days",
    "annual_return": "return",
    "annual_volatility": "volatility",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "max_drawdown": "drawdown",
    "calmar": "Calmar",
    "cost": "cost",
}
"""Measures of a comparison, and their headings."""

app = typer.Typer(help="List the backtests ever run, show what each proves, and compare them.")

_Trial = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL", help="Name of the trial, or the beginning of its identifier.", autocompletion=complete_trial
    ),
]


@app.callback(invoke_without_command=True)
def trials(context: typer.Context) -> None:
    """List the trials, oldest first, if no command is named."""
    if context.invoked_subcommand is not None:
        return
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.report.proof import PROOF_WORDS

    with open_reader(context) as lake:
        rows = _trials(lake)
        ends = [
            end
            for table in ("trials", "trial_judgements")
            for end in lake.select(
                table, columns=["sequence", "hash"], order=["sequence"], descending=["sequence"], limit=1
            ).iter_rows()
        ]
    if not rows:
        print_lines("There are no trials yet: pm backtest")
        return
    frame = pl.DataFrame(rows, infer_schema_length=None).select(
        trial="trial_id",
        name="name",
        state="state",
        from_="from_date",
        to="to_date",
        cost="cost",
        **{"return": pl.col("annual_return").cast(pl.Float64)},
        benchmark=pl.col("annual_benchmark").cast(pl.Float64),
        Sharpe=pl.col("annual_sharpe").cast(pl.Float64),
        deflated=pl.col("deflated").cast(pl.Float64),
        verdict=pl.col("verdict").cast(pl.String).replace(PROOF_WORDS),
    )
    print_frame(
        frame.rename({"from_": "from"}),
        formats={"cost": ".3%", "return": "+.1%", "benchmark": "+.1%", "Sharpe": "+.2f", "deflated": ".1%"},
        optional=(("from", "to"), ("cost",), ("state",)),
    )
    print_lines(
        "",
        "return and benchmark: per year, after costs. Sharpe: of the difference, per year.",
        "deflated: probability that it is above that of the luckiest of all trials.",
        "What one proves, and why: pm trials show TRIAL",
        *_uncounted(rows),
        f"Head of their chain, for pm audit verify --head: {max(ends)[1]}",
    )


def _uncounted(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line about the trials that started after the newest judgement, which counts them for none."""
    judged = max((row["judged_by"] for row in rows if row["judged_by"] is not None), default=None)
    later = sum(judged is not None and row["trial_id"] > judged for row in rows)
    counts = "does not count" if later == 1 else "do not count"
    return [f"{plural(later, 'later trial')} {counts} in these verdicts yet: pm trials judge"] if later else []


@app.command()
def show(context: typer.Context, trial: _Trial) -> None:
    """Show what a trial made, and what that proves."""
    with open_reader(context) as lake:
        print_trial(lake, one_trial(lake, trial)["trial_id"])


@app.command()
def compare(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TRIAL", help="Trials to compare. [default: all that have returns]", autocompletion=complete_trial
        ),
    ] = None,
) -> None:
    """Compare trials on the sessions that all of them have, beside equal weights."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        chosen = [one_trial(lake, name) for name in names or ()] or [
            row for row in _trials(lake) if row["state"] == "done"
        ]
        if not chosen:
            raise NoResultsError("No trial has returns.", where="table trials", hint="pm backtest")
        returns = lake.select("trial_returns", trial_id=[row["trial_id"] for row in chosen])
    shared = _shared_sessions(returns, chosen)
    rows = [_measures(row["name"], returns.filter(trial_id=row["trial_id"]), shared) for row in chosen]
    first = returns.filter(trial_id=chosen[0]["trial_id"])
    equal = first.with_columns(net=pl.col("equal"), cost=None, invested=None)
    rows.append(_measures(f"equal weights ({chosen[0]['tickers']})", equal, shared))
    print_frame(
        pl.DataFrame(rows, infer_schema_length=None).select(
            pl.col(name).alias(heading) for name, heading in _COMPARED.items() if name in rows[0]
        ),
        formats=dict.fromkeys(("return", "drawdown"), "+.1%")
        | dict.fromkeys(("Sharpe", "Sortino", "Calmar"), "+.2f")
        | {"volatility": ".1%", "cost": ".2%", "days": ",d"},
        title=f"{plural(len(shared), 'session')}, {shared[0]} to {shared[-1]}",
        optional=(("Calmar",), ("Sortino",)),
    )
    print_lines(
        "",
        "return, volatility, cost: per year. Sharpe and Sortino: of the returns themselves,",
        "not of what they are over a benchmark. What they prove: pm trials",
    )


@app.command()
def judge(context: typer.Context, no_wait: NoWait = False) -> None:
    """Judge all trials again, as after a change of validation.prior_trials."""
    from pm.cli.progress import progress_shown
    from pm.pipeline import judge_trials

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake, progress_shown() as observer:
        judge_trials(lake, workspace, settings, observer)


def print_trial(lake: Lake, trial_id: str) -> None:
    """Print what a trial made and what it proves."""
    from pm.cli.render import print_lines

    row = _trials(lake, trial_id=trial_id)[0]
    print_lines("", f"Trial {visible_line(row['name'])} ({trial_id}): {_state(row)}")
    if row["state"] != "done":
        print_lines(*([visible_line(row["detail"])] if row["detail"] else []), "It counts as a trial.")
        return
    costs = {"none": "without costs", "settings": "costs of the settings", "given": "given costs"}[row["costs"]]
    print_lines(
        f"{plural(row['n_days'], 'session')} from {row['from_date']} to {row['to_date']}, "
        f"{plural(row['tickers'], 'ticker')}, {plural(row['decisions'], 'decision')}, {plural(row['fills'], 'fill')}.",
        f"Allocator {row['allocator']}, every {plural(row['step'], 'session')}, {costs} ({row['cost']:.3%} a trade).",
    )
    print_lines(*_hindsight(row))
    if row["parent"] is not None:
        print_lines(f"It repeats trial {row['parent']}: the settings, code, tickers and dates are the same.")
    if row["verdict"] is None:
        print_lines("It was not judged yet: pm trials judge")
        return
    _print_verdict(row)


def _is_known(row: dict[str, Any]) -> bool:
    """Return whether the watch list was recorded on all dates of a trial's decisions."""
    return row["universe_known_from"] is not None and bool(row["universe_known_from"] <= row["from_date"])


def _hindsight(row: dict[str, Any]) -> list[str]:
    """Return what is not known of the watch list in the past, and what follows from it, in lines."""
    known = row["universe_known_from"]
    if _is_known(row):
        return ["Each decision is about the tickers that were on the watch list on its date."]
    return [
        *([] if known is None else [f"The watch list was recorded from {known} on. Before it:"]),
        "The tickers were chosen with hindsight: companies that failed, and that nobody put on the",
        "list, are missing. That flatters the return, and equal weights as much.",
    ]


def _print_verdict(row: dict[str, Any]) -> None:
    import textwrap

    from pm.cli.render import print_lines
    from pm.report.proof import PROOF_WORDS

    print_lines(
        "",
        f"Return {row['annual_return']:+.1%} per year {'after' if row['cost'] else 'without'} costs; benchmark "
        f"{row['benchmark']} {row['annual_benchmark']:+.1%}.",
    )
    if row["benchmark"] != "equal" and not _is_known(row):
        print_lines("The choice of tickers flatters the return, and this benchmark does not share that.")
    if row["annual_sharpe"] is not None:
        between = "" if row["lower"] is None else f", 95% between {row['lower']:+.2f} and {row['upper']:+.2f}"
        print_lines(
            f"Sharpe ratio over the benchmark {row['annual_sharpe']:+.2f} per year ± {row['annual_error']:.2f}"
            f"{between}.",
            *_probabilities(row),
        )
    if row["superior_p"] is not None:
        among = "it is not" if row["compared"] == 1 else f"none of {plural(row['compared'], 'trial')} is"
        print_lines(f"Test that {among} better than the benchmark: p = {row['superior_p']:.3f}.")
    if row["overfitting"] is not None:
        print_lines(
            f"Probability that choosing the best is overfitting: {row['overfitting']:.0%} "
            f"({row['overfitting_low']:.0%} to {row['overfitting_high']:.0%} by the number of blocks)."
        )
    print_lines("", f"Verdict: {PROOF_WORDS[row['verdict']]}.", *textwrap.wrap(row["reasons"], width=88))


def _probabilities(row: dict[str, Any]) -> list[str]:
    """Return lines about the probabilistic and the deflated ratio, which are one for the first trial."""
    if row["trials"] == 1:
        return [f"Probability that it is above 0: {row['probabilistic']:.1%}; it is the first trial."]
    effective = f"of {row['effective_trials']:.1f} effective ones: {row['deflated_effective']:.1%}."
    return [
        f"Probability that it is above 0, were it the only trial: {row['probabilistic']:.1%};",
        f"that it is above the luckiest of {row['trials']:,} trials (deflated): {row['deflated']:.1%}; {effective}",
    ]


def _state(row: dict[str, Any]) -> str:
    return {
        "done": "done",
        "failed": "it FAILED",
        "killed": "it was KILLED",
        "started": "it has not ended: it runs, or was cut off",
    }[row["state"]]


def _trials(lake: Lake, trial_id: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of view `trial_verdicts`, in the order in which the trials started; only one if it is named."""
    rows = lake.select_rows("trial_verdicts", order=("started_at", "trial_id"))
    return [row for row in rows if trial_id in {None, row["trial_id"]}]


def one_trial(lake: Lake, name: str) -> dict[str, Any]:
    """Return the newest trial of a name, or the one whose identifier begins so.

    Raises
    ------
    InputError
        There is none, or there are several.
    """
    rows = _trials(lake)
    named = [row for row in rows if row["name"] == name]
    found = named[-1:] or [row for row in rows if row["trial_id"].startswith(name)]
    if len(found) == 1:
        return found[0]
    names = [row["name"] for row in rows]
    what = f"There is no trial {name!r}.{did_you_mean(name, names)}" if not found else f"Several trials begin {name!r}."
    raise InputError(what, where="table trials", hint="list them: pm trials")


def _shared_sessions(returns: pl.DataFrame, chosen: list[dict[str, Any]]) -> list[Any]:
    counts = returns.group_by("date").len().filter(len=len({row["trial_id"] for row in chosen}))
    shared = sorted(counts["date"])
    if not shared:
        raise InputError(
            "These trials have no session in common.",
            where="pm trials compare",
            hint="name trials whose dates overlap: pm trials",
        )
    return shared


def _measures(name: str, own: pl.DataFrame, shared: list[Any]) -> dict[str, Any]:
    """Return a row of the comparison."""
    import polars as pl

    from pm.sessions import SESSIONS_PER_YEAR
    from pm.statistics.performance import performance

    rows = own.filter(pl.col("date").is_in(shared)).sort("date")
    found = performance(rows["net"].to_numpy())
    cost = rows["cost"].mean()
    return {
        "name": name,
        "days": found.observations,
        "annual_return": found.annual_return,
        "annual_volatility": found.annual_volatility,
        "sharpe": found.sharpe,
        "sortino": found.sortino,
        "max_drawdown": found.max_drawdown,
        "calmar": found.calmar,
        "cost": None if cost is None else float(str(cost)) * SESSIONS_PER_YEAR,
    }
