"""Commands about the lake itself: info, snapshots, compact."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.state import open_reader, open_workspace

__all__ = ["app"]

app = typer.Typer(help="Look at the lake itself, and keep it small.", no_args_is_help=True)


@app.command()
def info() -> None:
    """Show where the lake is and what each table holds."""
    from pm.cli.show import say, show_frame
    from pm.lake.maintenance import table_sizes

    with open_reader() as lake:
        say(f"Lake: {lake.root}", f"Newest snapshot: {lake.snapshot}", "")
        show_frame(table_sizes(lake), formats={"rows": ",d", "files": ",d", "bytes": ",d"})


@app.command()
def snapshots(limit: Annotated[int, typer.Option(min=1, help="Snapshots to list, the newest.")] = 30) -> None:
    """List snapshots: when, by what, and the tables each changed."""
    from pm.cli.show import show_frame

    with open_reader() as lake:
        show_frame(lake.snapshots().reverse().head(limit))


@app.command()
def compact() -> None:
    """Merge small files, forget old snapshots that no run has read, and remove files nothing refers to."""
    from pm.cli.show import say
    from pm.lake.maintenance import compact as compact_lake
    from pm.pipeline import open_lake, snapshots_to_keep

    workspace, settings = open_workspace()
    with open_lake(workspace, settings) as lake:
        done = compact_lake(lake, keep=snapshots_to_keep(lake))
    say(
        f"Files: {done.files_before:,} before, {done.files_after:,} after.",
        f"Bytes: {done.bytes_before:,} before, {done.bytes_after:,} after.",
        f"Snapshots forgotten: {done.snapshots_forgotten:,}.",
    )
