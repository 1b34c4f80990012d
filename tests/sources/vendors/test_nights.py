"""What is fetched night by night, over ten years with four splits and forty dividends, is what one fetch gives."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta

from pm.sources import Ask
from pm.sources.vendors.yahoo_chart import read_chart
from tests.vendor_servers import Listing, YahooServer, seconds_of

FIRST, LAST = date(2014, 1, 1), date(2023, 12, 29)
SPLITS = {date(2015, 6, 9): (7, 1), date(2018, 3, 12): (3, 2), date(2020, 8, 31): (4, 1), date(2022, 7, 18): (1, 20)}
DIVIDENDS = {FIRST + timedelta(days=91 * quarter + 20): round(0.2 + quarter * 0.013, 4) for quarter in range(39)} | {
    date(2020, 8, 31): 0.31  # on the day of a split
}
OVERLAP = 5


def test_nights_give_what_one_fetch_gives_and_no_night_contradicts_an_earlier_one() -> None:
    share = Listing.made("AAPL", first=FIRST, last=LAST, splits=SPLITS, dividends=DIVIDENDS)
    sessions = [bar.date for bar in share.bars]
    events = [*SPLITS, *DIVIDENDS]
    near = {day for day in sessions if any(abs((day - event).days) <= 2 for event in events)}
    nights = [day for place, day in enumerate(sessions) if day in near or place % 20 == 0]
    nights += [LAST]
    bars: dict[date, tuple[float, ...]] = {}
    actions: dict[tuple[date, str], float] = {}
    for night in nights:
        known = sorted(bars)
        start = known[-OVERLAP] if len(known) >= OVERLAP else FIRST
        chart = YahooServer.chart(share.until(night), seconds_of(start, share.zone, 0) - 86_400)
        found = read_chart(json.loads(json.dumps(chart)), Ask("AAPL", "AAPL", start, night), night)
        for day, *values in found.bars.select("date", "open", "high", "low", "close", "volume").iter_rows():
            kept = bars.setdefault(day, tuple(values))
            assert all(math.isclose(new, old, rel_tol=1e-9) for new, old in zip(values, kept, strict=True)), day
        for day, kind, value in found.actions.select("date", "kind", "value").iter_rows():
            assert math.isclose(value, actions.setdefault((day, kind), value), rel_tol=1e-9), (day, kind)
    assert sorted(bars) == sessions
    for bar in share.bars:
        for seen, true in zip(bars[bar.date], (bar.open, bar.high, bar.low, bar.close, bar.volume), strict=True):
            assert true is not None
            assert math.isclose(seen, true, rel_tol=1e-9)
    expected = {(day, "split"): new / old for day, (new, old) in SPLITS.items()}
    expected |= {(day, "dividend"): amount for day, amount in DIVIDENDS.items()}
    assert actions.keys() == expected.keys()
    assert all(math.isclose(actions[key], expected[key], rel_tol=1e-9) for key in expected)
