"""`pm lake`: show what the lake holds, list its snapshots, and keep it small."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.context import open_reader, open_workspace

__all__ = ["app"]

app = typer.Typer(help="Show what the lake holds, and keep it small.", no_args_is_help=True)


@app.command()
def info(context: typer.Context) -> None:
    """Show the rows, files and bytes of each table."""
    from pm.cli.render import print_frame, print_lines
    from pm.lake.maintenance import table_sizes

    with open_reader(context) as lake:
        print_lines(f"Lake: {lake.root}", f"Newest snapshot: {lake.snapshot}", "")
        print_frame(table_sizes(lake), formats=dict.fromkeys(("rows", "files", "bytes"), ",d"))


@app.command()
def snapshots(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of snapshots to list.")] = 30,
) -> None:
    """List the snapshots, newest first, and the tables each changed."""
    from pm.cli.render import SECONDS, print_frame

    with open_reader(context) as lake:
        print_frame(lake.snapshots().reverse().head(limit), formats={"snapshot_time": SECONDS})


@app.command()
def compact(context: typer.Context) -> None:
    """Merge small files, and delete old snapshots.

    Snapshots that a run has read are kept. Files that nothing refers to any more are removed.
    """
    from pm.cli.render import print_lines
    from pm.lake.maintenance import compact as compact_lake
    from pm.pipeline import open_lake, snapshots_to_keep

    workspace, settings = open_workspace(context)
    with open_lake(workspace, settings) as lake:
        done = compact_lake(lake, keep=snapshots_to_keep(lake))
    print_lines(
        f"Files: {done.files_before:,} before, {done.files_after:,} after.",
        f"Bytes: {done.bytes_before:,} before, {done.bytes_after:,} after.",
        f"Snapshots deleted: {done.snapshots_forgotten:,}.",
    )
