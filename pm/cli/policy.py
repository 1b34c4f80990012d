"""`pm policy`: train and show the policy of the mSSA-CP forecaster."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait, Tickers, parse_tickers
from pm.errors import InputError, NoResultsError, did_you_mean

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(
    help="Train or show a policy of the forecaster mssa_cp.",
    no_args_is_help=True,
)


@app.command()
def train(
    context: typer.Context,
    tickers: Tickers = None,
    cutoff: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE",
            formats=["%Y-%m-%d"],
            help="Last date to train on; later dates test the policy. [default: the last 30% of the dates test it]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.")] = 0,
    no_wait: NoWait = False,
) -> None:
    """Train a policy, and test it on later dates.

    A policy chooses the rank and window of the forecaster mssa_cp by the state of the market (a contextual bandit).
    Forecasts use it only if the test accepts it.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.known_tickers import of_known
    from pm.cli.progress import progress_shown
    from pm.pipeline import Request, train_policy

    request = Request(tickers=parse_tickers(tickers))
    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with interruptible("Interrupted. No policy was written.") as wrap, progress_shown() as observer:
            result = train_policy(
                lake,
                workspace,
                settings,
                wrap(observer),
                request=of_known(lake, request),
                cutoff=cutoff.date() if cutoff else None,
                seed=seed,
            )
        trained = lake.select_rows("policies", columns=("policy_id",), run_id=result.outputs["policy"])
        _print_policy(lake, trained[0]["policy_id"])


@app.command()
def show(
    context: typer.Context,
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="Name of the policy.", show_default="the newest")
    ] = None,
) -> None:
    """Show a policy, and how it did on later dates.

    It shows the choice in each state, what the choice gained, and whether the policy was accepted.
    """
    with open_reader(context) as lake:
        rows = lake.select_rows("policies", columns=("policy_id",), order=("trained_at", "policy_id"))
        known = [row["policy_id"] for row in rows]
        if policy is not None and policy not in known:
            raise InputError(
                f"There is no policy {policy!r}.{did_you_mean(policy, known)}",
                where="table policies",
                hint='list them with: pm sql "from policies"; or train one: pm policy train',
            )
        if not known:
            raise NoResultsError("There is no policy yet.", where="table policies", hint="train one: pm policy train")
        _print_policy(lake, policy or known[-1])


def _print_policy(lake: Lake, policy_id: str) -> None:
    """Print a policy's choices, and how it did on later dates."""
    from pm.cli.render import print_lines

    row = lake.select("policies", policy_id=policy_id).row(0, named=True)
    print_lines(
        f"Policy {policy_id}: trained on {row['tickers'].replace(',', ', ')} up to {row['cutoff']},",
        f"for forecasts {row['horizon']} sessions ahead (seed {row['seed']}, snapshot {row['snapshot_id']}).",
        "",
    )
    _print_choices(row["policy"])
    if row["fold_gain"] is not None:
        print_lines(
            f"In the training, on dates not learnt from: reward {row['fold_gain']:+.4f} above the fixed action's,",
            f"at least {row['fold_gain_lowest']:+.4f} on each path of the cross-validation.",
        )
    print_lines("")
    _print_test(row)


def _print_choices(policy_json: str) -> None:
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.forecast.policy import FIXED, Policy

    policy = Policy.from_json(policy_json)
    choices = [
        {
            "volatility": state.volatility,
            "change": state.change_age,
            "memory": state.autocorrelation,
            "visits": arms[FIXED].visits,
            "chosen": str(action := policy.choose(state)),
            "reward": arms[action].reward,
            "fixed": arms[FIXED].reward,
            "gain": arms[action].gain,
        }
        for state, arms in policy.arms.items()
    ]
    print_frame(pl.DataFrame(choices), formats={"visits": ",d", "reward": "+z.2f", "fixed": "+z.2f", "gain": "+z.3f"})
    print_lines(
        "",
        "reward: mean log ratio of the squared error of naive to that of the chosen",
        f"action; fixed: to that of the fixed action ({FIXED}). gain: reward",
        "minus fixed, shrunk towards zero where there were few visits.",
    )


def _print_test(row: dict[str, Any]) -> None:
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.forecast.policy import CONTENDERS, FIXED
    from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE

    print_lines(
        f"Tested on {row['origins']:,} forecasts from {row['dates']:,} dates, {row['first_origin']} to "
        f"{row['last_target']};",
        f"in {row['differing']:.0%} of them the policy did not choose the fixed action.",
        "",
    )
    p_values = [row[f"{name}_p_value"] for name in CONTENDERS]
    contenders = {
        "forecast": list(CONTENDERS),
        "loss": [row[f"{name}_loss"] for name in CONTENDERS],
        "p-value": p_values,
        f"in the {1 - CONFIDENCE_SET_SIZE:.0%} model confidence set": [
            "yes" if p > CONFIDENCE_SET_SIZE else "no" for p in p_values
        ],
    }
    print_frame(pl.DataFrame(contenders), formats={"loss": ".3f", "p-value": ".3f"}, beside=True)
    print_lines(
        "",
        "Diebold-Mariano test of the policy against the fixed action (above 0 the policy",
        f"is better): {row['dm_statistic']:+.2f}, p = {row['dm_p_value']:.3f}.",
        f"{'Accepted' if row['accepted'] else 'Refused'}: {row['verdict']}.",
        "Forecasts use the policy from now on." if row["accepted"] else f"Forecasts use the fixed action: {FIXED}.",
    )
