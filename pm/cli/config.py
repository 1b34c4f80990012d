"""`pm config`: the settings, and where the value of each comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.completion import complete_setting
from pm.cli.context import find_settings

__all__ = ["config"]


def config(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Section, such as run, or setting, such as run.jobs. [default: all]",
            autocompletion=complete_setting,
        ),
    ] = None,
) -> None:
    """Show the settings: the value of each, where it comes from, and what it is.

    Where it comes from is 'default', a file of the workspace's config/, or an environment variable. Keys and passwords
    are not shown.
    """
    import polars as pl

    from pm.cli.listing import current_listing
    from pm.cli.render import print_frame, print_lines
    from pm.settings.described import described_settings, variable_of

    workspace, settings = find_settings(context)
    found = described_settings(settings, None if workspace is None else workspace.config, name)
    frame = pl.DataFrame(
        [(each.name, each.origin, each.value, each.comment) for each in found],
        schema=dict.fromkeys(("setting", "from", "value", "meaning"), pl.String),
        orient="row",
    )
    if current_listing() is not None:
        print_frame(frame)
        return
    print_frame(frame.drop("meaning"))
    if len(found) == 1:
        section = found[0].name.partition(".")[0]
        print_lines(
            "",
            found[0].comment,
            f"Change it in config/{section}.yml, or for one command by variable {variable_of(found[0].name)}.",
        )
    else:
        print_lines("", "What one is, and where to change it: pm config NAME")
