"""Stage `land`: bars as a source sends them, into raw.bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.pipeline.landing import land
from pm.pipeline.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pm.lake import Transaction
    from pm.sources import FilePlan

__all__ = ["STAGE", "importing"]

_ROOMS = ("sources", "pipeline/landing.py")


def _asks(context: Context) -> list[str] | None:
    from pm.sources import SOURCE_NAME, source

    name = context.request.source
    if name == SOURCE_NAME:
        return [name]
    version = source(name).version()
    return None if version is None else [name, version]


def _run(context: Context) -> Outcome:
    from pm.sources import SOURCE_NAME, source

    if context.request.source == SOURCE_NAME:
        return Outcome(lambda _: 0, lambda: "imported files have landed already")
    vendor = source(context.request.source)
    version = vendor.version()
    before = context.lake.scalar(
        "SELECT count(*) FROM raw.batches WHERE origin = ? AND fingerprint = ?", [vendor.name, version]
    )
    said = "nothing new to fetch"

    def write(transaction: Transaction) -> int:
        nonlocal said
        if before:
            return 0
        batch = land(
            transaction, vendor.fetch(None, None, None), run_id=context.run_id, origin=vendor.name, fingerprint=version
        )
        said = f"{batch.bars:,} bars from {vendor.name!r}, {batch.first_date} to {batch.last_date}"
        return batch.bars + batch.actions

    return Outcome(write, lambda: said)


STAGE = Stage("land", _run, rooms=_ROOMS, asks=_asks)
"""Fetch from the request's source what it has not delivered yet; imported files have landed already."""


def importing(paths: Sequence[Path], tickers: Sequence[str] | None = None) -> Stage:
    """Give the stage that lands files instead: each a batch of its own, all in one commit.

    Of some tickers only, if they are named.

    A file that has been imported before is known by its content and not landed again.
    """

    def run(context: Context) -> Outcome:
        from pm.sources import SOURCE_NAME, Delivery, find_files, inspect_file, no_actions, read_file

        plans = [inspect_file(file, tickers=tickers) for file in find_files(paths)]
        for line in _understood(plans):
            context.tell(line)
        said = ""

        def write(transaction: Transaction) -> int:
            nonlocal said
            known = set(transaction.query("SELECT fingerprint FROM raw.batches WHERE origin = 'files'")["fingerprint"])
            rows = files = 0
            for done, plan in enumerate(plans):
                context.progress(done, len(plans))
                if plan.fingerprint in known:
                    continue
                known.add(plan.fingerprint)
                batch = land(
                    transaction,
                    Delivery(read_file(plan), no_actions()),
                    run_id=context.run_id,
                    origin=SOURCE_NAME,
                    fingerprint=plan.fingerprint,
                    path=str(plan.path.resolve()),
                )
                rows, files = rows + batch.bars, files + 1
            context.progress(len(plans), len(plans))
            before = len(plans) - files
            said = f"{rows:,} bars from {files:,} file{'' if files == 1 else 's'}"
            said += f"; {before:,} imported before" if before else ""
            return rows

        return Outcome(write, lambda: said)

    return Stage("land", run, rooms=_ROOMS, asks=lambda _: None)


def _understood(plans: Sequence[FilePlan]) -> list[str]:
    """Say how the files are read, those read alike in one line, so that a misunderstanding is seen at once."""
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
