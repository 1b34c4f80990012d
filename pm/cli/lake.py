"""`pm lake`: show what the lake holds, list its snapshots, keep it small, and find and repair damage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.paths import expand_home
from pm.errors import InputError, LakeError
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pm.lake import Lake
    from pm.lake.integrity import FileFault

__all__ = ["app"]

app = typer.Typer(help="Show what the lake holds, keep it small, and find and repair damage.", no_args_is_help=True)


@app.command()
def info(context: typer.Context) -> None:
    """Show the rows, files and bytes of each table."""
    from pm.cli.render import print_frame, print_lines
    from pm.lake.maintenance import table_sizes

    with open_reader(context) as lake:
        print_lines(f"Lake: {lake.location.where}", f"Newest snapshot: {lake.snapshot}", "")
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
def compact(context: typer.Context, no_wait: NoWait = False) -> None:
    """Merge small files, and delete old snapshots.

    Every file is verified first. Snapshots that a run has read are kept. Files that nothing refers to any more are
    removed.
    """
    from pm.cli.render import print_lines
    from pm.lake.maintenance import compact as compact_lake
    from pm.pipeline import snapshots_to_keep

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        done = compact_lake(lake, keep=snapshots_to_keep(lake))
    if not done.has_changed:
        print_lines(f"Nothing to merge or delete in {plural(done.files_after, 'file')} ({done.bytes_after:,} bytes).")
    else:
        print_lines(
            f"Files in use: {done.files_before:,} before, {done.files_after:,} after.",
            f"Bytes in use: {done.bytes_before:,} before, {done.bytes_after:,} after.",
            f"Snapshots deleted: {done.snapshots_forgotten:,}.",
        )
    if done.files_waiting:
        print_lines(
            f"No longer in use: {plural(done.files_waiting, 'file')} ({done.bytes_waiting:,} bytes), kept for an hour "
            "for readers that have them open. The next `pm lake compact` after that removes them."
        )


@app.command()
def verify(
    context: typer.Context,
    *,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Record checksums, as they are now, of files that have none, such as those of an older version of pm.",
        ),
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Read every data file, and compare it with the checksum recorded at the commit that wrote it.

    Damaged and missing files are listed, with what to do, and the exit code is 8.
    """
    from pm.cli.render import print_lines
    from pm.lake.integrity import Fault

    with _for_verifying(context, write=record, no_wait=no_wait) as lake:
        faults = _faults(lake)
        unrecorded = [found.file for found in faults if found.fault is Fault.UNRECORDED]
        damaged = [found for found in faults if found.fault is not Fault.UNRECORDED]
        if record and unrecorded:
            lake.record(unrecorded)
        count, newest = len(lake.files()), lake.snapshot
    if unrecorded:
        sentence = (
            f"Recorded the checksums of {plural(len(unrecorded), 'file')} that had none."
            if record
            else f"{plural(len(unrecorded), 'file')} without a checksum, from an older version of pm or a compaction "
            "that was cut off: they can be read, but a changed number would not be noticed. Record their checksums as "
            "they are now: pm lake verify --record"
        )
        print_lines(sentence)
    if damaged:
        _tell_damage(damaged, newest)
        raise typer.Exit(LakeError.exit_code)
    print_lines(f"{plural(count, 'file')} verified: none is damaged.")


@app.command()
def restore(
    context: typer.Context,
    backup: Annotated[
        str,
        typer.Argument(metavar="DIR", help="Folder with a copy of the lake or of the workspace, of any age."),
    ],
    no_wait: NoWait = False,
) -> None:
    """Replace damaged and missing data files by the same files of a backup.

    A file never changes after the commit that wrote it, so that any later backup has it. Only a copy that equals the
    recorded checksum is taken, and nothing else in the lake changes.
    """
    from pm.cli.render import print_lines
    from pm.lake.integrity import Fault

    folder = expand_home(Path(backup))
    if not backup or not folder.is_dir():
        raise InputError("There is no such folder.", where=backup or "DIR", hint="name the folder of a backup")
    with _for_verifying(context, write=True, no_wait=no_wait) as lake:
        damaged = [found for found in _faults(lake) if found.fault is not Fault.UNRECORDED]
        remaining = lake.restore(damaged, folder)
        newest = lake.snapshot
    if len(damaged) > len(remaining):
        print_lines(f"Restored {plural(len(damaged) - len(remaining), 'file')}.")
    if remaining:
        print_lines(f"The backup has no whole copy of {plural(len(remaining), 'file')}:")
        _tell_damage(remaining, newest)
        raise typer.Exit(LakeError.exit_code)
    if not damaged:
        print_lines("No data file is damaged.")


def _for_verifying(context: typer.Context, *, write: bool, no_wait: bool) -> AbstractContextManager[Lake]:
    return open_writer(*open_workspace(context), no_wait=no_wait) if write else open_reader(context)


def _faults(lake: Lake) -> list[FileFault]:
    """Read every file, and show how far it is on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    files = lake.files()
    columns = (TextColumn("Verifying"), BarColumn(bar_width=20), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, emoji=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(file.bytes for file in files))
        return lake.verify(files, on_progress=lambda size: progress.advance(task, size))


def _tell_damage(damaged: Sequence[FileFault], newest: int) -> None:
    """List damaged files, and say what repairs them."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    rows = [
        {
            "table": found.file.table,
            "file": found.file.path,
            "problem": str(found.fault),
            "snapshots": f"{found.file.begin} to {newest if found.file.end is None else found.file.end - 1}",
            "in use now": "yes" if found.file.end is None else "no",
        }
        for found in damaged
    ]
    print_frame(pl.DataFrame(rows), title=f"Damaged: {plural(len(rows), 'file')} below lake/data.")
    print_lines("")
    if not any(found.file.end is None for found in damaged):
        print_lines("Only past snapshots read these files: the tables as they are now are whole.")
    print_lines(
        "From a backup of any time since: pm lake restore DIR",
        "Without a backup: move the folder lake away, then import your files again (pm import) and run (pm run). The "
        "bars are as before; what earlier runs had forecast is lost.",
    )
