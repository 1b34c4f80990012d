"""Commands that ask how good the forecasts are: evaluate."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.running import Day, Tickers, named_tickers
from pm.cli.state import open_workspace

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("evaluate")(evaluate)


def evaluate(
    origins: Annotated[int, typer.Option(min=1, help="Past dates to forecast from.")] = 20,
    horizon: Annotated[str, typer.Option(help="Sessions ahead to keep, comma-separated.")] = "1,5,20",
    source: Annotated[str | None, typer.Option(help="Where bars come from: sample, files.")] = None,
    tickers: Tickers = None,
    as_of: Day = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes to forecast in; 0 for the setting's.")] = 0,
) -> None:
    """Forecast from past dates as a night's run would have, and set the forecasts beside what came.

    The rows are in the same tables as a run's; views forecast_scores, interval_coverage, volatility_scores and
    model_leaderboard read them.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import watched
    from pm.cli.scores import show_evaluation
    from pm.cli.show import say
    from pm.pipeline import Request, evaluate_history, open_lake

    steps = _steps(horizon)
    names = named_tickers(tickers)
    workspace, settings = open_workspace(create=True)
    with open_lake(workspace, settings) as lake:
        with interruptible("Interrupted. Nothing of the evaluation was written.") as heeding, watched() as observer:
            request = Request(source, names, as_of.date() if as_of else None, jobs)
            result = evaluate_history(
                lake, workspace, settings, heeding(observer), request=request, origins=origins, steps=steps
            )
        show_evaluation(lake, result.outputs["evaluate"])
    if not result.worked:
        say(f"Nothing is new since {result.outputs['evaluate']}. ({result.seconds:.2f} s)")


def _steps(text: str) -> list[int]:
    """Read '1,5,20'."""
    try:
        steps = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        steps = []
    if not steps or steps[0] < 1 or steps[-1] > 250:
        raise typer.BadParameter("name whole numbers from 1 to 250, like 1,5,20", param_hint="--horizon")
    return steps
