"""`pm observations`: numbers about tickers that are no prices, from files; and a list of those that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait, Zone  # noqa: TC001 - Typer reads annotations
from pm.cli.paths import expand_home
from pm.cli.text import zone_of

__all__ = ["app"]

app = typer.Typer(
    help="Import observations about tickers, such as short interest, and list those that are known.",
    no_args_is_help=True,
)


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with the columns ticker, date, known_at, name and value.")
    ],
    tz: Zone = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Source of all rows. [default: a column of the file, or files]")
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Import the observations of a file: all of them, or none. Those that are in the lake already are left out.

    No forecast uses an observation unless it passes a test: pm edges test NAME. docs/observations.md has more.
    """
    from pm.cli.progress import progress_shown
    from pm.cli.render import join_names, print_lines
    from pm.pipeline import import_observations
    from pm.plural import plural
    from pm.sources.observation_import import read_observations

    file = expand_home(path)
    content = read_observations(file, zone=zone_of(tz), source=source)
    workspace, settings = open_workspace(context, create=True)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with progress_shown() as observer:
            result = import_observations(
                lake, workspace, settings, observer, observations=content.observations, where=str(file)
            )
        landed = lake.select("observations", columns=("ticker",), run_id=result.run_id).height
        known = {str(row["ticker"]) for row in lake.select_rows("data_health", columns=("ticker",))}
    line = f"{plural(landed, 'observation')} imported, of {plural(content.row_count, 'row')} of {path.name}."
    if content.observations.height > landed:
        line += f" {plural(content.observations.height - landed, 'observation')} already in the lake."
    if content.row_count > content.observations.height:
        line += f" {plural(content.row_count - content.observations.height, 'row')} repeated in the file."
    print_lines(line)
    without = sorted(set(content.observations["ticker"]) - known)
    if without:
        shown = join_names(without, limit=8)
        print_lines(f"There are no bars of {shown}: these observations are kept, and count once there are.")
    names = sorted(set(content.observations["name"]))
    print_lines(f"Whether forecasts gain by it: pm edges test {names[0]}")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the names of the observations that are known."""
    import polars as pl

    from pm.cli.render import SECONDS, print_frame, print_lines

    with open_reader(context) as lake:
        rows = lake.select("observations")
    if rows.is_empty():
        print_lines("There are no observations. Import some: pm observations import FILE")
        return
    print_frame(
        rows.group_by("name", "source")
        .agg(
            observations=pl.len(),
            tickers=pl.col("ticker").n_unique(),
            first=pl.col("date").min(),
            last=pl.col("date").max(),
            **{"last known": pl.col("known_at").max()},
        )
        .sort("name", "source"),
        formats={"observations": ",d", "tickers": ",d", "last known": SECONDS},
    )
