"""How long the words about many tickers take: `python benchmarks/words.py [--tickers 100]`.

Simulated bars are imported into a workspace in a temporary folder, and two nights are run: the first also makes the
default language model, once for all time. Prints what table stage_events says of stage `llm` in the second, in which
the model is loaded, and orders the clauses of all tickers.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from scale import command, simulated

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

QUICK = {"PM_FORECAST__MODELS": '["naive"]', "PM_VOLATILITY__MODELS": '["garch"]'}
"""Settings of stages whose time is not measured."""


def main() -> None:
    """Print how long the words of a night took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=100)
    tickers = parser.parse_args().tickers
    with tempfile.TemporaryDirectory(prefix="pm-words-") as folder:
        workspace = Path(folder) / "workspace"
        command("init", str(workspace))
        bars = simulated(tickers, 600)
        for night, frame in enumerate((bars.filter(bars["date"] < bars["date"].max()), bars)):
            file = Path(folder) / f"bars-{night}.parquet"
            frame.write_parquet(file)
            command("--workspace", str(workspace), "import", str(file))
            command("--workspace", str(workspace), "run", **QUICK)
        with Lake(workspace / "lake", load_settings().lake, TABLES, read_only=True) as lake:
            rows = lake.rows(
                "SELECT seconds FROM stage_events WHERE stage = 'llm' AND status = 'done' ORDER BY started_at"
            )
            ordered = lake.scalar("SELECT count(*) FROM latest_commentary WHERE writer = 'ordered'")
    first, second = (row["seconds"] for row in rows)
    print(
        f"{tickers} tickers, of {ordered} the model ordered the clauses: {second:.1f} s; the first night {first:.1f} s"
    )


if __name__ == "__main__":
    main()
