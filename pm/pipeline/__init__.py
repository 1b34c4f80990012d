"""The pipeline: stages over the lake, run in order, recorded, skipped when nothing changed, resumed when cut off."""

from pm.pipeline.night import default_source, evaluate_history, import_bars, nightly_run, open_for_writing
from pm.pipeline.stage import Request

__all__ = ["Request", "default_source", "evaluate_history", "import_bars", "nightly_run", "open_for_writing"]
