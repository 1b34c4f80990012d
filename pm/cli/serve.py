"""`pm serve`: pages to browse, read-only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.paths import expand_home

__all__ = ["serve"]

_ROOT = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 for any that is free.")] = 8321,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Path under which a proxy hands requests on, such as /pm.")
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Name by which browsers call the server behind a proxy. Can be repeated."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the token, made if it does not exist. [default: a new one each time]"
        ),
    ] = None,
) -> None:
    """Serve pages to browse: signals, tickers, portfolio, track record, data, runs, reports and SQL.

    They only read. The address that is printed has a token in it: whoever knows it can read the lake.
    """
    from pm.cli.render import print_lines
    from pm.serve.security import is_local
    from pm.serve.server import new_token, token_of_file
    from pm.serve.server import serve as run_server

    root = root_path.rstrip("/")
    if not _ROOT.fullmatch(root):
        raise typer.BadParameter(f"{root_path!r} is no path; write it as /pm", param_hint="--root-path")
    workspace, settings = open_workspace(context)
    token = new_token() if token_file is None else token_of_file(expand_home(token_file))
    if not is_local(host):
        print_lines(
            f"Other machines can reach {host}, and what they send and get is not encrypted: use a proxy with TLS "
            "before it (docs/operations.md)."
        )

    def tell(url: str) -> None:
        print_lines(f"Serving {workspace.root}", f"Open {url}", "End with Ctrl-C.")

    run_server(
        workspace,
        settings,
        host=host,
        port=port,
        root_path=root,
        hosts=[*(allow_host or []), *([host] if host not in {"0.0.0.0", "::"} else [])],  # noqa: S104 - compared, not bound
        token=token,
        on_ready=tell,
    )
