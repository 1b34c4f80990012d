"""The pipeline: stages over the lake, run in order, recorded, skipped when nothing changed, resumed when cut off."""

from pm.pipeline.commands import (
    ImportResult,
    add_actions,
    add_to_universe,
    check_first_run,
    evaluate_history,
    import_bars,
    open_lake,
    read_lake,
    remove_actions,
    remove_from_universe,
    run_pipeline,
    snapshots_to_keep,
    train_policy,
)
from pm.pipeline.other_spellings import OtherSpelling, find_other_spellings
from pm.pipeline.request import Request

__all__ = [
    "ImportResult",
    "OtherSpelling",
    "Request",
    "add_actions",
    "add_to_universe",
    "check_first_run",
    "evaluate_history",
    "find_other_spellings",
    "import_bars",
    "open_lake",
    "read_lake",
    "remove_actions",
    "remove_from_universe",
    "run_pipeline",
    "snapshots_to_keep",
    "train_policy",
]
