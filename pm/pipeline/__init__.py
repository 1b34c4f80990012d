"""The pipeline: stages over the lake, run in order, recorded, skipped when nothing changed, resumed when cut off."""

from pm.pipeline.commands import (
    ImportResult,
    add_actions,
    add_to_universe,
    backtest,
    backtest_risk,
    check_first_run,
    evaluate_history,
    import_bars,
    import_observations,
    import_texts,
    judge_observation,
    judge_trials,
    move_in_universe,
    refresh_bars,
    remove_actions,
    remove_from_universe,
    run_pipeline,
    snapshots_to_keep,
    trade,
    train_policy,
    validate,
    watch_folder,
)
from pm.pipeline.failed import FailedTicker, failed_tickers, unread_files
from pm.pipeline.health import data_health
from pm.pipeline.opening import open_lake, read_lake
from pm.pipeline.other_spellings import OtherSpelling, find_other_spellings
from pm.pipeline.request import Request
from pm.pipeline.stale import StaleTicker, stale_tickers_of

__all__ = [
    "FailedTicker",
    "ImportResult",
    "OtherSpelling",
    "Request",
    "StaleTicker",
    "add_actions",
    "add_to_universe",
    "backtest",
    "backtest_risk",
    "check_first_run",
    "data_health",
    "evaluate_history",
    "failed_tickers",
    "find_other_spellings",
    "import_bars",
    "import_observations",
    "import_texts",
    "judge_observation",
    "judge_trials",
    "move_in_universe",
    "open_lake",
    "read_lake",
    "refresh_bars",
    "remove_actions",
    "remove_from_universe",
    "run_pipeline",
    "snapshots_to_keep",
    "stale_tickers_of",
    "trade",
    "train_policy",
    "unread_files",
    "validate",
    "watch_folder",
]
