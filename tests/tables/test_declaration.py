"""Tables as they are declared."""

from __future__ import annotations

import polars as pl

from pm.tables.catalogue import TABLES


def test_frames_put_together_have_the_columns_of_the_table_without_its_stamp_and_their_types() -> None:
    table = TABLES["limit_events"]
    one = pl.DataFrame({name: [None] for name in table.unstamped_schema} | {"value": [1]})
    both = table.together([one.with_columns(extra=pl.lit("left out")), one.select(reversed(one.columns))])
    assert both.schema == table.unstamped_schema
    assert both["value"].to_list() == [1.0, 1.0]
    assert table.together([]).schema == table.unstamped_schema
