"""The numbers in tables, in views, on the screen and in the report are equal."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


class Tables(HTMLParser):
    """Collects the text of the cells, row by row, of all tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"} and self.rows:
            self._inside = True
            self.rows[-1].append("")
        elif self._inside:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def rows(finished: Path, pm: Pm, query: str) -> list[dict[str, Any]]:
    done = pm(finished, "sql", query, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def numbers(text: str) -> list[float]:
    """Return the numbers of a line, without separators, with ASCII signs: −7.8% is -7.8."""
    return [float(word.replace(",", "")) for word in re.findall(r"-?\d[\d,]*\.?\d*", text.replace("−", "-"))]


def test_signals_are_equal_in_sql_on_the_screen_and_in_the_report(finished: Path, pm: Pm) -> None:
    signals = rows(finished, pm, "FROM latest_signals")
    stored = rows(finished, pm, "SELECT s.* FROM signals s JOIN latest_run USING (run_id)")
    assert sorted(stored, key=str) == sorted(signals, key=str)
    screen = {line.split()[0]: line for line in pm(finished, "signals").stdout.splitlines() if line}
    report = Tables()
    report.feed((finished / "reports" / "latest.html").read_text(encoding="utf-8"))
    for signal in signals:
        words = screen[signal["ticker"]].split()
        assert words[1] == signal["action"]
        shown = numbers(" ".join(words[2:]))
        expected = [signal["close"]] + [signal[name] * 100 for name in ("expected_return", "lower", "upper")]
        assert len(shown) >= len(expected)
        for number, value, digits in zip(shown, expected, (2, 1, 1, 1), strict=False):
            assert abs(number - value) <= 0.5000001 * 10**-digits
        mine = [" ".join(row) for row in report.rows if row and row[0].split()[:1] == [signal["ticker"]]]
        line = next(row for row in mine if signal["action"].title() in row.title())
        for value, digits in zip(expected, (2, 1, 1, 1), strict=True):
            assert any(abs(number - value) <= 0.5000001 * 10**-digits for number in numbers(line)), (value, line)


def test_a_forecast_is_equal_in_sql_on_the_screen_and_in_the_report(finished: Path, pm: Pm) -> None:
    path = rows(finished, pm, "FROM latest_forecasts WHERE ticker = 'IBM' AND model = 'ensemble' ORDER BY step")
    lines = [line.split() for line in pm(finished, "forecast", "IBM").stdout.splitlines() if line.startswith("2013-")]
    names = ["mean", "q05", "q10", "q25", "q50", "q75", "q90", "q95"]
    assert [line[0] for line in lines] == [row["target_date"] for row in path]
    for line, row in zip(lines, path, strict=True):
        assert line[1:9] == [f"{row[name]:,.2f}" for name in names]
    last = path[-1]
    decided = rows(finished, pm, "FROM latest_signals WHERE ticker = 'IBM'")[0]
    assert decided["target_date"] == last["target_date"]
    # Without an edge, the signal reads the distribution centred on no change.
    centre = last["q50"] if last["mean_log_return"] == 0 else last["origin_close"]
    for name, quantile in (("expected_return", "q50"), ("lower", "q05"), ("upper", "q95")):
        assert abs(decided[name] - (last[quantile] / centre - 1)) < 1e-12
    report = Tables()
    report.feed((finished / "reports" / "latest.html").read_text(encoding="utf-8"))
    drawn = [row for row in report.rows if row and row[0] == last["target_date"]]
    expected = [last["origin_close"] * (1 + decided[name]) for name in ("lower", "expected_return", "upper")]
    assert [f"{value:,.2f}" for value in expected] in [[row[1], row[4], row[7]] for row in drawn]


def test_a_signal_can_be_traced_to_its_bar(finished: Path, pm: Pm) -> None:
    for row in rows(finished, pm, "FROM signal_lineage WHERE ticker = 'IBM'"):
        snapshot = row["bars_snapshot_id"]
        at = f"FROM bars AT (VERSION => {snapshot}) WHERE ticker = '{row['ticker']}' AND date <= '{row['origin_date']}'"
        bar = rows(finished, pm, f"SELECT close, date::VARCHAR AS date {at} ORDER BY date DESC LIMIT 1")[0]
        signal = rows(finished, pm, f"SELECT close FROM latest_signals WHERE ticker = '{row['ticker']}'")[0]
        assert bar == {"close": signal["close"], "date": row["origin_date"]}
        assert row["source"] == "sample"
