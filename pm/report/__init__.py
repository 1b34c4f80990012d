"""The report of a run: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

from pm.report.data import ReportData
from pm.report.render import render_report

__all__ = ["ReportData", "render_report"]
