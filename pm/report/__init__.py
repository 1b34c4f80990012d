"""Render the report of a run as one HTML file that loads no other file and needs no network."""

from __future__ import annotations

from pm.report.data import ReportData
from pm.report.render import render_report

__all__ = ["ReportData", "render_report"]
