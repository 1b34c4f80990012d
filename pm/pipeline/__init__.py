"""The pipeline: stages over the lake, run in order, recorded, skipped when nothing changed, resumed when cut off."""

from pm.pipeline.night import import_bars, nightly_run
from pm.pipeline.stage import Request

__all__ = ["Request", "import_bars", "nightly_run"]
