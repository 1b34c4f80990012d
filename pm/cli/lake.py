"""`pm lake`: show what the lake holds, list its snapshots, keep it small, and find and repair damage."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import CATALOG_HELP, DATA_HELP, ENDPOINT_HELP, REGION_HELP, NoWait
from pm.cli.paths import expand_home
from pm.errors import InputError, LakeError
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from pm.lake import Lake
    from pm.lake.integrity import CatalogFile, FileFault
    from pm.lake.location import LakeLocation

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
        _tell_damage(damaged, newest, lake.location)
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
    """Replace damaged and missing data files by the same files of a backup; where there is no lake, restore all of it.

    A file never changes after the commit that wrote it, so that any later backup has it. Only a copy that equals the
    recorded checksum is taken, and nothing else in the lake changes.
    """
    from pm.cli.render import print_lines
    from pm.lake.backup import restore_whole
    from pm.lake.integrity import Fault
    from pm.lake.location import LakeLocation
    from pm.pipeline.right_to_write import right_to_write

    folder = expand_home(Path(backup))
    if not backup or not folder.is_dir():
        raise InputError("There is no such folder.", where=backup or "DIR", hint="name the folder of a backup")
    workspace, settings = open_workspace(context)
    location = LakeLocation.of(workspace.lake, settings.lake)
    if not location.is_shared and not location.catalog_file.exists():
        with right_to_write(location, wait_seconds=0 if no_wait else settings.lake.wait_seconds):
            count = restore_whole(folder, workspace.lake)
        print_lines(f"Restored the whole lake: {plural(count, 'file')}. Check it: pm lake verify")
        return
    with _for_verifying(context, write=True, no_wait=no_wait) as lake:
        damaged = [found for found in _faults(lake) if found.fault is not Fault.UNRECORDED]
        remaining = lake.restore(damaged, folder)
        newest = lake.snapshot
    if len(damaged) > len(remaining):
        print_lines(f"Restored {plural(len(damaged) - len(remaining), 'file')}.")
    if remaining:
        print_lines(f"The backup has no whole copy of {plural(len(remaining), 'file')}:")
        _tell_damage(remaining, newest, lake.location)
        raise typer.Exit(LakeError.exit_code)
    if not damaged:
        print_lines("No data file is damaged.")


@app.command()
def backup(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder of the backup, new or with an older one.")],
) -> None:
    """Copy the lake into a folder, while other commands read and write it, and verify the copy.

    The copy is of one moment. Into a folder with an older backup only new files are copied. `pm lake restore DIR`
    repairs a lake from it, or brings back the whole of it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from pm.cli.render import print_lines
    from pm.lake.backup import back_up
    from pm.tables.catalogue import TABLES

    if not folder:
        raise InputError("The name of the folder is empty.", where="DIR", hint="name a folder")
    workspace, settings = open_workspace(context)
    columns = (TextColumn("Copying"), BarColumn(bar_width=20), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, emoji=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        done = back_up(
            workspace.lake,
            settings.lake,
            TABLES,
            expand_home(Path(folder)),
            on_files=lambda files: progress.update(task, completed=0, total=sum(file.bytes for file in files)),
            on_progress=lambda size: progress.advance(task, size),
        )
    print_lines(
        f"Backed up snapshot {done.snapshot}: {plural(done.files, 'file')} ({done.bytes:,} bytes), "
        f"{done.copied:,} of them copied now, and the catalog. All of them are whole."
    )


@app.command()
def copy(
    context: typer.Context,
    *,
    catalog: Annotated[str, typer.Option(metavar="URL", help=CATALOG_HELP)],
    data: Annotated[str, typer.Option(metavar="URL", help=DATA_HELP)],
    endpoint: Annotated[str, typer.Option(metavar="URL", help=ENDPOINT_HELP, show_default=False)] = "",
    region: Annotated[str, typer.Option(metavar="NAME", help=REGION_HELP, show_default=False)] = "",
    no_wait: NoWait = False,
) -> None:
    """Copy the lake of the workspace, with all of its snapshots, to a place that other machines can share.

    The workspace keeps its lake, and goes on using it until its settings name the other one.
    """
    import json

    from pm.cli.render import print_lines
    from pm.lake.location import LakeLocation
    from pm.lake.moving import copy_to_shared
    from pm.lake.shared_check import check_shared
    from pm.settings import with_values

    workspace, settings = open_workspace(context)
    given = {"catalog": catalog, "data": data, "s3_endpoint": endpoint, "s3_region": region}
    target = LakeLocation.of(
        workspace.lake, with_values(settings, "lake", given, where="pm lake copy --catalog, --data").lake
    )
    check_shared(target)
    with open_writer(workspace, settings, no_wait=no_wait) as lake, _progress("Copying", lake.files()) as advance:
        count = copy_to_shared(lake, target, on_progress=advance)
    print_lines(
        f"Copied {plural(count, 'file')} and the catalog to {target.where}.",
        f"To use it, set these in {workspace.config / 'lake.yml'}; keep the folder lake until you have seen it work:",
        *(f"{key}: {json.dumps(value)}" for key, value in given.items()),
    )


def _for_verifying(context: typer.Context, *, write: bool, no_wait: bool) -> AbstractContextManager[Lake]:
    return open_writer(*open_workspace(context), no_wait=no_wait) if write else open_reader(context)


def _faults(lake: Lake) -> list[FileFault]:
    """Read every file, and show how far it is on a terminal."""
    files = lake.files()
    with _progress("Verifying", files) as advance:
        return lake.verify(files, on_progress=advance)


@contextmanager
def _progress(title: str, files: Sequence[CatalogFile]) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far a command is; the function it yields is told the bytes of each file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(bar_width=20), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, emoji=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(file.bytes for file in files))
        yield lambda size: progress.advance(task, size)


def _tell_damage(damaged: Sequence[FileFault], newest: int, location: LakeLocation) -> None:
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
    folder = location.data_path.rstrip("/") if location.is_shared else "lake/data"
    print_frame(pl.DataFrame(rows), title=f"Damaged: {plural(len(rows), 'file')} below {folder}.")
    print_lines("")
    if not any(found.file.end is None for found in damaged):
        print_lines("Only past snapshots read these files: the tables as they are now are whole.")
    away = (
        "name another schema in lake.catalog and another folder in lake.data"
        if location.is_shared
        else "move the folder lake away"
    )
    print_lines(
        "From a backup of any time since: pm lake restore DIR",
        f"Without a backup: {away}, then import your files again (pm import) and run (pm run). The bars are as before; "
        "what earlier runs had forecast is lost.",
    )
