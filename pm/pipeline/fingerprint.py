"""The fingerprint of a stage: a hash of all that its result depends on.

It covers the code that the stage imports, the versions of the libraries that this code imports, the sections of the
settings, the tables by their columns and keys, the views by their SQL, the snapshot that last changed each table or the
run whose rows stand as the result of an earlier stage, and what the stage says it depends on besides.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pm
from pm.pipeline.code import CodeReader
from pm.pipeline.libraries import library_versions
from pm.settings.root import section_values
from pm.tables.pipeline import RUNS, STAGE_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.pipeline.code import Closure
    from pm.pipeline.stage import Context, Stage
    from pm.settings import Settings
    from pm.tables.declaration import Table
    from pm.workspace import Workspace

__all__ = ["code_hash", "code_reader", "fingerprint", "packages_of", "stage_closure"]

_RECORD = (RUNS, STAGE_EVENTS)
"""Tables that the runner itself writes: what they say of a run is no input of it."""


def code_reader(workspace: Workspace) -> CodeReader:
    """Return a reader of this package's source files that keeps what it read in the workspace."""
    return CodeReader(Path(pm.__file__).resolve().parent, cache=workspace.lake / "code.json")


def stage_closure(stage: Stage, reader: CodeReader) -> Closure:
    """Return the code that a stage depends on: that of the module of its function, and all that it imports."""
    compute = stage.compute
    while isinstance(compute, partial):
        compute = compute.func
    module = compute.__module__
    if module.partition(".")[0] == pm.__name__:
        return reader.closure(module)
    return reader.closure(module, Path(inspect.getfile(inspect.unwrap(compute))))


def packages_of(stages: Iterable[Stage], reader: CodeReader) -> list[str]:
    """Return the distributions whose versions the results of some stages depend on."""
    return sorted({name for stage in stages for name in library_versions(stage_closure(stage, reader).packages)})


def code_hash(stage: Stage, settings: Settings, reader: CodeReader) -> str:
    """Return the hash of a stage's code, its settings, the libraries it imports, and the tables it declares."""
    closure = stage_closure(stage, reader)
    return _hash(
        {
            "stage": stage.name,
            "settings": {name: section_values(settings, name) for name in stage.sections},
            "code": closure.digest,
            "libraries": library_versions(closure.packages),
            "tables": [_structure(table) for table in (*stage.reads, *stage.writes)],
        }
    )


def fingerprint(stage: Stage, context: Context) -> str | None:
    """Return the hash of all that a stage's result depends on; None if only running it can tell.

    A table that the stage both reads and writes is its own past, not an input. Of a table whose rows carry their run,
    and that earlier stages of this run write, the input is the runs whose rows stand as those stages' results.
    """
    depends = stage.depends(context)
    if depends is None:
        return None
    inputs = [table for table in stage.reads if table not in (*stage.writes, *_RECORD)]
    by_run = {table.qualified for table in inputs if "run_id" in table.key and table.qualified in context.producers}
    return _hash(
        {
            "depends": depends,
            "tables": context.lake.versions(table.qualified for table in inputs if table.qualified not in by_run),
            "outputs": {
                name: [context.outputs[producer] for producer in context.producers[name]] for name in sorted(by_run)
            },
            "views": context.lake.view_definitions(stage.views),
            "code": context.code_hash,
        }
    )


def _structure(table: Table) -> list[Any]:
    return [table.qualified, table.key, [[column.name, column.sql_type] for column in table.columns]]


def _hash(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()
