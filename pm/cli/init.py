"""`pm init`: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.options import CATALOG_HELP, DATA_HELP, ENDPOINT_HELP, REGION_HELP
from pm.cli.paths import workspace_path

if TYPE_CHECKING:
    from pm.cli.context import Options

__all__ = ["init"]


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            parser=workspace_path,
            help="Folder to make the workspace in.",
            show_default="the folder of --workspace or PM_WORKSPACE, else the current one",
        ),
    ] = None,
    *,
    catalog: Annotated[str, typer.Option(metavar="URL", help=CATALOG_HELP, show_default=False)] = "",
    data: Annotated[str, typer.Option(metavar="URL", help=DATA_HELP, show_default=False)] = "",
    endpoint: Annotated[str, typer.Option(metavar="URL", help=ENDPOINT_HELP, show_default=False)] = "",
    region: Annotated[str, typer.Option(metavar="NAME", help=REGION_HELP, show_default=False)] = "",
) -> None:
    """Make a workspace in a folder.

    A workspace has commented settings, and folders for the lake, models and your own SQL views. Files that are there
    already are left as they are. With --catalog and --data its lake is one that other machines can share; its server
    and its data must answer.
    """
    from pm.cli.render import print_lines
    from pm.workspace import absolute, init_workspace

    options: Options = context.obj
    named = options.workspace
    if folder is not None and named is not None and absolute(folder) != absolute(named):
        raise typer.BadParameter(
            f"--workspace or PM_WORKSPACE names another folder, {named}, in which other commands would work; "
            "leave out one of the two",
            param_hint="DIR",
        )
    root = folder or named or Path()
    given = {"catalog": catalog, "data": data, "s3_endpoint": endpoint, "s3_region": region}
    shared = _checked(absolute(root), given) if any(given.values()) else []
    workspace = init_workspace(root, {"lake": given} if shared else None)
    print_lines(
        f"Workspace: {workspace.root}",
        *shared,
        "Next: `pm import PATH…` to import your own bars, or `pm run` to use the embedded sample.",
    )


def _checked(root: Path, given: dict[str, str]) -> list[str]:
    """Check that the shared lake of a new workspace can be used, and return lines that say what it holds."""
    from pm.lake.location import LakeLocation
    from pm.lake.shared_check import check_shared
    from pm.settings import load_settings, with_values
    from pm.workspace import Workspace

    settings = with_values(load_settings(), "lake", given, where="pm init --catalog, --data")
    location = LakeLocation.of(Workspace(root).lake, settings.lake)
    holds = "it holds a lake" if check_shared(location) else "it holds no lake yet"
    return [f"Catalog: {location.where}; {holds}.", f"Data: {location.data_path}"]
