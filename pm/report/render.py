"""Render the frames of a run as one HTML document."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pm.report.holdings import holdings
from pm.report.provenance import provenance
from pm.report.record import record
from pm.report.tickers import ranked_signals, tickers
from pm.report.today import today
from pm.report.words import FILTERS

if TYPE_CHECKING:
    from jinja2 import Environment

    from pm.report.data import ReportData
    from pm.settings import ReportSettings

__all__ = ["environment", "render_report"]


def render_report(data: ReportData, *, settings: ReportSettings) -> str:
    """Return the report as one HTML document that loads no other file.

    The stylesheet, the script and the charts, which are SVG, are inside. A content security policy in the document
    forbids the browser to fetch anything. All text from the data is escaped. A part with nothing to say is left out.

    Parameters
    ----------
    data
        The frames of a run; any of them may be empty.
    settings
        Section `report`: the number of charts, of sessions in a chart, and of rows in a table.
    """
    ranked = ranked_signals(data)
    return (
        environment()
        .get_template("templates/report.html.j2")
        .render(
            data=data,
            today=today(data, ranked),
            owned=holdings(data, settings.max_rows),
            record=record(data, settings.max_rows),
            tickers=tickers(
                data,
                ranked,
                max_charts=settings.max_charts,
                sessions=settings.history_sessions,
                max_rows=settings.max_rows,
            ),
            data_part=provenance(data, settings.max_rows),
        )
    )


@cache
def environment() -> Environment:
    """Return the templates of this package, which escape all text and refuse names that are not defined."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("pm.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(FILTERS)
    return templates
