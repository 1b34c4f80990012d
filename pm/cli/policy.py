"""Commands about the policy of the mSSA-CP forecaster: train, show."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.running import named_tickers
from pm.cli.state import open_reader, open_workspace
from pm.errors import InputError, did_you_mean
from pm.tables.forecast import POLICIES

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(
    help="Train and judge the policy by which mssa_cp picks rank and window (a contextual bandit).",
    no_args_is_help=True,
)


@app.command()
def train(
    tickers: Annotated[
        str | None, typer.Option(help="Train on these alone, comma-separated: AAPL,IBM. [default: all]")
    ] = None,
    cutoff: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Last day to learn from; it is judged on what came after. [default: leaves 30% of the days]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
) -> None:
    """Learn a policy from the lake's bars and judge it on later ones; the forecast uses it only if it is accepted."""
    from pm.cli.interrupt import interruptible
    from pm.pipeline.night import open_for_writing
    from pm.pipeline.policy import train_and_judge

    names = named_tickers(tickers)
    workspace, settings = open_workspace()
    with open_for_writing(workspace, settings) as lake:
        with interruptible("Interrupted. No policy was written."):
            policy_id = train_and_judge(
                lake, settings.forecast, tickers=names, cutoff=cutoff.date() if cutoff else None, seed=seed
            )
        _show(lake, policy_id)


@app.command()
def show(
    policy: Annotated[
        str | None, typer.Argument(help="The policy; the newest unless named.", show_default=False)
    ] = None,
) -> None:
    """Show a policy: what it chooses in each state, what that gained, and whether it was accepted."""
    from pm.cli.show import say

    with open_reader() as lake:
        # A lake laid by an older version has no such table until something is written.
        exists = "policies" in lake.table_ids()
        rows = lake.rows("SELECT policy_id FROM policies ORDER BY trained_at, policy_id") if exists else []
        known = [row["policy_id"] for row in rows]
        if policy is not None and policy not in known:
            raise InputError(
                f"There is no policy {policy!r}.{did_you_mean(policy, known)}",
                where="table policies",
                hint="list them with: pm sql 'from policies'; or train one: pm policy train",
            )
        if not known:
            say("There is no policy yet; train one with `pm policy train`.")
            return
        _show(lake, policy or known[-1])


def _show(lake: Lake, policy_id: str) -> None:
    import polars as pl

    from pm.cli.show import say, show_frame
    from pm.forecast.policy import CONTENDERS, FIXED, Policy
    from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE

    row = lake.read(POLICIES, "policy_id = ?", [policy_id]).row(0, named=True)
    policy = Policy.from_json(row["policy"])
    chosen = [
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
    say(
        f"Policy {policy_id}: trained on {row['tickers'].replace(',', ', ')} up to {row['cutoff']}, "
        f"{row['horizon']} sessions ahead (seed {row['seed']}, snapshot {row['snapshot_id']}).",
        "",
    )
    show_frame(pl.DataFrame(chosen), formats={"visits": ",d", "reward": "+z.2f", "fixed": "+z.2f", "gain": "+z.3f"})
    say(
        "",
        "reward: log ratio of naive's squared error to the chosen action's; fixed: to the fixed action's.",
        f"gain: reward over that of the fixed action ({FIXED}), drawn towards none where visits are few.",
        "",
    )
    say(
        f"Judged on {row['origins']:,} forecasts from {row['dates']:,} days, {row['first_origin']} to "
        f"{row['last_target']}; in {row['differing']:.0%} of them it did not choose the fixed action.",
        "",
    )
    p_values = [row[f"{name}_p_value"] for name in CONTENDERS]
    judged = {
        "forecast": list(CONTENDERS),
        "loss": [row[f"{name}_loss"] for name in CONTENDERS],
        "p-value": p_values,
        f"in the {1 - CONFIDENCE_SET_SIZE:.0%} model confidence set": [
            "yes" if p > CONFIDENCE_SET_SIZE else "no" for p in p_values
        ],
    }
    show_frame(pl.DataFrame(judged), formats={"loss": ".3f", "p-value": ".3f"})
    say(
        "",
        f"Policy against fixed, Diebold-Mariano: {row['dm_statistic']:+.2f}, p = {row['dm_p_value']:.3f}.",
        f"{'Accepted' if row['accepted'] else 'Refused'}: {row['verdict']}.",
        "The forecast uses it from now on." if row["accepted"] else f"The forecast uses the fixed action: {FIXED}.",
    )
