"""`pm tables`: list the tables and views of the lake, and their columns."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.completion import complete_table
from pm.cli.context import open_reader
from pm.errors import QueryError, did_you_mean

__all__ = ["tables"]


def tables(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Table or view whose columns to show.",
            show_default="all tables and views",
            autocompletion=complete_table,
        ),
    ] = None,
) -> None:
    """List the tables and views, or the columns of one."""
    from pm.cli.render import print_frame, print_lines
    from pm.lake.description import columns_of, tables_and_views

    with open_reader(context) as lake:
        known = tables_and_views(lake)
        if name is None:
            print_frame(known)
            return
        comments = dict(known.select("name", "comment").iter_rows())
        if name not in comments:
            raise QueryError(
                f"There is no table or view {name!r}.{did_you_mean(name, comments)}",
                where=lake.location.where,
                hint="list the tables and views with `pm tables`",
            )
        print_lines(comments[name], "")
        print_frame(columns_of(lake, name))
