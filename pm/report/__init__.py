"""Render the report of a run as one HTML file that loads no other file and needs no network."""

from __future__ import annotations

from pm.report.data import Before, Books, Record, ReportData
from pm.report.render import render_report
from pm.report.tickers import card_tickers

__all__ = ["Before", "Books", "Record", "ReportData", "card_tickers", "render_report"]
