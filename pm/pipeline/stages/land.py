"""Stage `land`: bars as sources send them, into the raw tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.pipeline.landing import Landing
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import watched_sources
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.sources.names import FILES
from pm.tables.sources import RAW_ACTIONS, RAW_BARS, RAW_BATCHES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pm.sources import FilePlan

__all__ = ["STAGE", "importing"]


def _versions(context: Context) -> list[list[str]] | None:
    """Return what each source of the watch list would deliver now; None if only fetching can tell."""
    from pm.sources import source

    versions = []
    for name in watched_sources(context.rows, context.request):
        version = "" if name == FILES else source(name).version()
        if version is None:
            return None
        versions.append([name, version])
    return versions


def _compute(context: Context) -> Result:
    from pm.sources import source

    landing = Landing(context)
    lines = []
    for name in watched_sources(context.rows, context.request):
        if name == FILES:
            lines.append("imported files have landed already")
            continue
        vendor = source(name)
        version = vendor.version()
        known = context.rows("SELECT 1 FROM raw.batches WHERE origin = ? AND fingerprint = ?", [name, version])
        if version is not None and known:
            lines.append(f"nothing new to fetch from {name!r}")
            continue
        batch = landing.add(vendor.fetch(None, None, None), origin=name, fingerprint=version)
        lines.append(f"{batch.bars:,} bars from {name!r}, {batch.first_date} to {batch.last_date}")
    return Result(landing.writes(), "; ".join(lines))


STAGE = Stage(
    "land",
    _compute,
    reads=(UNIVERSE,),
    writes=(RAW_BARS, RAW_ACTIONS, RAW_BATCHES),
    depends=_versions,
    network=True,
)
"""Fetch what the sources of the watch list have not delivered yet; imported files have landed already."""


def importing(paths: Sequence[Path], tickers: Sequence[str] | None = None) -> Stage:
    """Return the stage that lands files instead: each file is a batch of its own, all in one commit.

    A file that has been imported before is known by its content and is not landed again.

    Parameters
    ----------
    paths
        Files, or folders of files.
    tickers
        The only tickers to import; None for all.
    """
    compute = partial(_import, paths=tuple(paths), tickers=tickers)
    return Stage("land", compute, writes=STAGE.writes, depends=lambda _: None)


def _import(context: Context, *, paths: Sequence[Path], tickers: Sequence[str] | None) -> Result:
    from pm.sources import Delivery, find_files, inspect_file, no_actions, read_file

    plans = [inspect_file(file, tickers=tickers) for file in find_files(paths)]
    for line in _described(plans):
        context.notify(line)
    known = {
        row["fingerprint"] for row in context.rows("SELECT fingerprint FROM raw.batches WHERE origin = ?", [FILES])
    }
    landing = Landing(context)
    for done, plan in enumerate(plans):
        context.progress(done, len(plans))
        if plan.fingerprint in known:
            continue
        known.add(plan.fingerprint)
        landing.add(
            Delivery(read_file(plan), no_actions()),
            origin=FILES,
            fingerprint=plan.fingerprint,
            path=str(plan.path.resolve()),
        )
    context.progress(len(plans), len(plans))
    if tickers and landing.batches and not any(batch.bars for batch in landing.batches):
        raise InputError(
            f"The files have no bars of {', '.join(tickers)}.",
            where="--tickers",
            hint="leave --tickers out to import every ticker of the files",
        )
    files = len(landing.batches)
    before = len(plans) - files
    summary = f"{plural(sum(batch.bars for batch in landing.batches), 'bar')} from {plural(files, 'file')}"
    return Result(landing.writes(), summary + (f"; {before:,} imported before" if before else ""))


def _described(plans: Sequence[FilePlan]) -> list[str]:
    """Return how the files are read, one line for those read alike, so that a wrong reading is seen at once."""
    alike: dict[tuple[str, ...], list[FilePlan]] = {}
    for plan in plans:
        renamed = ", ".join(f"{theirs} as {ours}" for ours, theirs in plan.columns.items() if theirs.lower() != ours)
        alike.setdefault((str(plan.ticker is not None), renamed, ", ".join(plan.ignored)), []).append(plan)
    lines = []
    for (_, renamed, ignored), group in alike.items():
        first, more = group[0], f" and {len(group) - 1:,} more" if len(group) > 1 else ""
        parts = [f"ticker {first.ticker}{more and ' and so on'} from the file's name"] if first.ticker else []
        parts += [f"reading {renamed}"] if renamed else []
        parts += [f"ignoring {ignored}"] if ignored else []
        lines += [f"{first.path}{more}: {'; '.join(parts)}"] if parts else []
    return lines
