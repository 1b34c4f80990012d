"""Stage `land`: bars as sources send them, into the raw tables."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now, utc_today
from pm.errors import InputError
from pm.pipeline.due import vendor_members
from pm.pipeline.fetched import hit_rate
from pm.pipeline.folders import changed_folders, folder_problems, folder_states, seen
from pm.pipeline.landing import Landing
from pm.pipeline.refresh import refreshing
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import watched_sources
from pm.pipeline.writes import Merge, Result
from pm.plural import first_of, plural
from pm.sources.folders import MISSING
from pm.sources.names import FILES, SAMPLE
from pm.tables.ledger import ACCOUNTS, CASH_EVENTS, FILLS, ORDER_EVENTS, ORDERS
from pm.tables.quality import BARS, TICKER_SOURCES
from pm.tables.sources import FETCHES, FOLDERS, RAW_ACTIONS, RAW_BARS, RAW_BATCHES, SPLICES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pm.pipeline.delivered_days import DeliveredDays
    from pm.pipeline.due import Member
    from pm.pipeline.landing import Batch
    from pm.pipeline.writes import Write
    from pm.sources import FilePlan, Inspected

__all__ = ["STAGE", "importing"]

_LANDED = f"SELECT DISTINCT origin, fingerprint FROM raw.batches WHERE origin <> '{FILES}'"  # noqa: S608 - a constant


def _versions(context: Context) -> list[list[str]] | None:
    """Return what each source of the watch list would deliver now; None if there are vendors; see `_idle`."""
    if _members(context):
        return None
    return _local_versions(context)


def _local_versions(context: Context) -> list[list[str]]:
    """Return what each source that is no vendor would deliver now."""
    from pm.sources import SampleSource

    watched = watched_sources(context.known_rows, context.request)
    versions = {FILES: "", SAMPLE: SampleSource().version() if SAMPLE in watched else ""}
    found = [[name, versions[name]] for name in watched if name in versions]
    return found + folder_states(context.known_rows)


def _is_landed(context: Context, _: str) -> bool:
    """Return whether what a run before fetched is all that is to be had.

    The sample is removed when own files are imported, and a folder that is as it was then can have been another since.
    """
    landed = [[row["origin"], row["fingerprint"]] for row in context.known_rows(_LANDED, ())]
    has_sample = all(name != SAMPLE or [name, version] in landed for name, version in _local_versions(context))
    return has_sample and not changed_folders(context.known_rows)


def _members(context: Context) -> list[Member]:
    return vendor_members(context.known_rows, context.request, context.settings)


def _idle(context: Context) -> str | None:
    """Return in a sentence that no ticker is due; None if one is, or there is anything else to land."""
    members = _members(context)
    now = utc_now()
    if not members or any(member.is_due(now) for member in members) or not _is_landed(context, ""):
        return None
    next_due = min(member.due_at for member in members if member.due_at is not None)
    return f"nothing is due before {next_due:%Y-%m-%d %H:%M} UTC; {hit_rate(members, len(members))}"


def _compute(context: Context) -> Result | Iterator[Result]:
    members, now = _members(context), utc_now()
    due = [member for member in members if member.is_due(now)]
    local = _local(context, members)
    if not due:
        return local
    if kept := [member.ticker for member in due if member.is_kept]:
        context.notify(
            f"{first_of(kept)}: asked for though not on the watch list, since an account holds or has ordered it, or "
            "is valued by it"
        )
    return _in_pieces(context, local, due, [member for member in members if not member.is_due(now)])


def _in_pieces(context: Context, local: Result, due: Sequence[Member], waiting: Sequence[Member]) -> Iterator[Result]:
    if local.writes:
        yield local
    yield from refreshing(context, due, waiting=waiting)


def _local(context: Context, members: Sequence[Member]) -> Result:
    """Return what the sources that are no vendors deliver."""
    landing = Landing(context)
    lines = []
    for name, version in _local_versions(context):
        if name == FILES:
            lines.append("imported files have landed already")
        elif name != SAMPLE:  # a folder
            continue
        elif context.rows("SELECT 1 FROM raw.batches WHERE origin = ? AND fingerprint = ?", [name, version]):
            lines.append(f"nothing new to fetch from {name!r}")
        else:
            batch = _land_sample(landing, version)
            lines.append(f"{batch.bars:,} bars from {name!r}, {batch.first_date} to {batch.last_date}")
    writes = landing.writes() if landing.batches else []
    if folders := changed_folders(context.known_rows):
        of_folders = _land_folders(context, folders)
        writes += of_folders.writes
        lines.append(of_folders.summary)
    if members:
        lines.append(hit_rate(members, len(members)))
    if not lines:
        restricted = context.request.source
        lines.append("nothing to fetch" if restricted is None else f"no ticker to fetch from {restricted!r}")
    return Result(writes, "; ".join(lines))


def _land_folders(context: Context, folders: dict[Path, str]) -> Result:
    """Return what is new or changed in folders that are watched; files that cannot be read are noted, and left out."""
    from pm.sources import inspect_files
    from pm.sources.finding import EmptyFolderError

    there = [folder for folder, state in folders.items() if state != MISSING]
    writes: list[Write] = []
    summary = f"nothing new in {plural(len(folders), 'folder')}"
    refused: list[InputError] = []
    if there:
        try:
            found = _import(context, files=inspect_files(there), refused=refused, keep_going=True, tickers=None)
        except InputError:  # nothing of them can be read
            summary = f"no file of {plural(len(there), 'folder')} can be read"
        else:
            writes += found.writes
            summary = found.summary
    for error in refused:
        if isinstance(error, EmptyFolderError):
            context.notify(str(error))
    problems = folder_problems(folders, [error for error in refused if not isinstance(error, EmptyFolderError)])
    return Result([*writes, Merge(FOLDERS, seen(context.read(FOLDERS), folders, problems))], summary)


def _land_sample(landing: Landing, version: str) -> Batch:
    from pm.sources import Answer, Ask, Delivery, SampleSource, no_actions

    sample = SampleSource()
    asks = [Ask(ticker, ticker, None, utc_today()) for ticker in sample.tickers()]
    answers = [answer for answer in sample.fetch(asks) if isinstance(answer, Answer)]
    bars = pl.concat([answer.bars for answer in answers])
    return landing.add(Delivery(iter([bars]), no_actions()), origin=SAMPLE, fingerprint=version)


STAGE = Stage(
    "land",
    _compute,
    past=(BARS, TICKER_SOURCES, ACCOUNTS, ORDERS, ORDER_EVENTS, FILLS, CASH_EVENTS),
    views=("lots", "lot_changes", "open_orders"),
    writes=(RAW_BARS, RAW_ACTIONS, RAW_BATCHES, UNIVERSE, FETCHES, SPLICES, FOLDERS),
    depends=_versions,
    idle=_idle,
    is_intact=_is_landed,
    network=True,
)
"""Fetch what the sources of the watch list have not delivered yet; imported files have landed already.

What vendors answer lands in pieces, a commit each, so that a refresh that is cut off keeps what it has.
"""


def importing(files: Inspected, refused: list[InputError], *, keep_going: bool, tickers: Sequence[str] | None) -> Stage:
    """Return the stage that lands files instead: each file is a batch of its own, all in one commit.

    A file that has been imported before is known by its content and is not landed again.

    Parameters
    ----------
    files
        The files, and those that are refused already.
    refused
        Filled by the stage: the error of each file that does not land.
    keep_going
        Whether the other files land if one is refused.
    tickers
        The only tickers that were asked for; None for all.
    """
    compute = partial(_import, files=files, refused=refused, keep_going=keep_going, tickers=tickers)
    return Stage("land", compute, writes=(RAW_BARS, RAW_ACTIONS, RAW_BATCHES), depends=lambda _: None)


def _import(
    context: Context,
    *,
    files: Inspected,
    refused: list[InputError],
    keep_going: bool,
    tickers: Sequence[str] | None,
) -> Result:
    from pm.pipeline.delivered_days import DeliveredDays
    from pm.sources import refusal_of

    plans = files.plans
    refused[:] = files.refused
    for line in [*_described(plans), *_not_read(files.left_out)]:
        context.notify(line)
    known = {
        row["fingerprint"] for row in context.rows("SELECT fingerprint FROM raw.batches WHERE origin = ?", [FILES])
    }
    landing = Landing(context)
    seen = DeliveredDays()
    landed: dict[str, tuple[str, FilePlan]] = {}
    copies: list[FilePlan] = []
    before = 0
    for done, plan in enumerate(plans):
        context.progress(done, len(plans))
        if plan.fingerprint in known:
            before += 1
            continue
        if plan.fingerprint in landed:
            copies.append(plan)
            continue
        try:
            batch = _land(context, landing, plan, seen)
        except InputError as error:
            refused.append(error)
        else:
            landed[plan.fingerprint] = (batch.batch_id, plan)
    context.progress(len(plans), len(plans))
    contradicting = seen.contradicting()
    if contradicting:
        landing.remove(contradicting.keys())
        refused += contradicting.values()
        refused += [
            _copy_of_refused(copy, landed[copy.fingerprint][1])
            for copy in copies
            if landed[copy.fingerprint][0] in contradicting
        ]
    if refused and not (keep_going and (landing.batches or before)):
        raise refusal_of(refused, files=len(plans) + len(files.refused), others_landed=False)
    if tickers and landing.batches and not any(batch.bars for batch in landing.batches):
        raise InputError(
            f"The files have no bars of {', '.join(tickers)}.",
            where="--tickers",
            hint="leave --tickers out to import every ticker of the files",
        )
    parts = [
        f"{plural(sum(batch.bars for batch in landing.batches), 'bar')} from {plural(len(landing.batches), 'file')}"
    ]
    parts += [f"{before:,} imported before"] if before else []
    parts += [f"{plural(len(copies), 'copy', 'copies')} of these"] if copies and landing.batches else []
    parts += [f"{len(refused):,} refused"] if refused else []
    return Result(landing.writes(), "; ".join(parts))


def _land(context: Context, landing: Landing, plan: FilePlan, seen: DeliveredDays) -> Batch:
    """Land a file, without the tickers whose bars are not daily if it has others."""
    from pm.pipeline.delivered_days import NotDailyError
    from pm.sources import Delivery, actions_of

    def add(plan: FilePlan) -> Batch:
        delivery = Delivery(seen.watched(plan), actions_of(plan))
        return landing.add(delivery, origin=FILES, fingerprint=plan.fingerprint, path=plan.name)

    try:
        batch = add(plan)
    except NotDailyError as error:
        if not error.has_others:
            raise
        context.notify(error.left_out())
        batch = add(replace(plan, without=frozenset(error.found)))
    seen.landed(batch.batch_id, plan)
    if (doubts := seen.doubts(plan)) is not None:
        context.notify(doubts)
    return batch


def _copy_of_refused(copy: FilePlan, other: FilePlan) -> InputError:
    return InputError(
        f"The file is a copy of {other.content}, which is refused.",
        where=str(copy.content),
        hint="leave it out, or correct the other",
    )


def _not_read(left_out: Mapping[Path, str]) -> list[str]:
    """Return a line for each reason for which files in folders were not read."""
    alike: dict[str, list[Path]] = {}
    for path, reason in left_out.items():
        alike.setdefault(reason, []).append(path)
    return [
        f"{paths[0]}{f' and {len(paths) - 1:,} more' if len(paths) > 1 else ''}: not read ({reason.rstrip('.')})"
        for reason, paths in alike.items()
    ]


def _described(plans: Sequence[FilePlan]) -> list[str]:
    """Return how the files are read, one line for those read alike, so that a wrong reading is seen at once."""
    alike: dict[tuple[str, ...], list[FilePlan]] = {}
    for plan in plans:
        renamed = ", ".join(f"{theirs} as {ours}" for ours, theirs in plan.columns.items() if theirs.lower() != ours)
        key = (str(plan.ticker_source), renamed, ", ".join(plan.ignored), "; ".join(plan.notes))
        alike.setdefault(key, []).append(plan)
    lines = []
    for (_, renamed, ignored, notes), group in alike.items():
        first, more = group[0], f" and {len(group) - 1:,} more" if len(group) > 1 else ""
        parts = []
        if first.ticker_source in {"name", "sheet"}:
            named = "file" if first.ticker_source == "name" else "sheet"
            parts = [f"ticker {first.ticker}{more and ' and so on'} from the {named}'s name"]
        parts += [f"reading {renamed}"] if renamed else []
        parts += [f"ignoring {ignored}"] if ignored else []
        parts += [notes] if notes else []
        lines += [f"{first.content}{more}: {'; '.join(parts)}"] if parts else []
    return lines
