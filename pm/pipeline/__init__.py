"""The pipeline: stages over the lake, run in order, recorded, skipped when nothing changed, resumed when cut off."""

from pm.pipeline.commands import (
    add_to_universe,
    evaluate_history,
    import_bars,
    open_lake,
    read_lake,
    remove_from_universe,
    run_pipeline,
    snapshots_to_keep,
    train_policy,
)
from pm.pipeline.request import Request

__all__ = [
    "Request",
    "add_to_universe",
    "evaluate_history",
    "import_bars",
    "open_lake",
    "read_lake",
    "remove_from_universe",
    "run_pipeline",
    "snapshots_to_keep",
    "train_policy",
]
