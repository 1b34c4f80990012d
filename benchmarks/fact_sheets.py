"""Write the fifty fact sheets on which a language model must prove that it can be let write: pm/llm/fact_sheets.json.

Runs the pipeline on the embedded sample as of past dates, and keeps the facts of each ticker without their cells. On
some dates the threshold is lower and short positions are on, so that there are signals to buy and to sell.

Run it with: python benchmarks/fact_sheets.py
"""

from __future__ import annotations

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pm.pipeline import Request, open_lake
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import llm
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from pm.llm.facts import FactSheet

SHEETS = 50
TARGET = Path(__file__).parents[1] / "pm" / "llm" / "fact_sheets.json"
DATES = [
    (date(2001, 3, 30), 0.5),
    (date(2002, 7, 31), 0.6),
    (date(2003, 10, 31), 0.5),
    (date(2004, 12, 31), 0.6),
    (date(2005, 9, 30), 0.5),
    (date(2007, 1, 31), 0.6),
    (date(2008, 10, 31), 0.5),
    (date(2009, 3, 9), 0.6),
    (date(2010, 5, 28), 0.5),
    (date(2011, 8, 31), 0.6),
    (date(2012, 6, 29), 0.5),
    (date(2012, 9, 21), 0.6),
    (date(2013, 3, 1), 0.5),
]
"""Days of the runs, and the threshold of the probability on each."""


def main() -> None:
    """Run the pipeline as of each date, and write the sheets."""
    sheets: list[FactSheet] = []

    def keep(context: Context) -> Result:
        sheets.extend(llm.read_facts(context))
        return Result([], "kept")

    names = [stage.name for stage in RUN_STAGES]
    stages = (*RUN_STAGES[: names.index("signals") + 1], Stage("sheets", keep, reads=llm.STAGE.reads))
    with tempfile.TemporaryDirectory() as folder:
        workspace = init_workspace(Path(folder))
        base = load_settings()
        for day, threshold in DATES:
            changed = {"threshold": threshold, "allow_short": threshold == 0.5}
            settings = base.model_copy(update={"signals": base.signals.model_copy(update=changed)})
            with open_lake(workspace, settings) as lake:
                Runner(lake, settings, workspace, lambda _: None).run(stages, Request(as_of=day))
            print(day, len(sheets))
    chosen = sheets[-SHEETS:]
    lines = ",\n".join(json.dumps(sheet.to_json()) for sheet in chosen)
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(chosen)} of {len(sheets)} sheets in {TARGET}")


if __name__ == "__main__":
    main()
