"""Deliver bars: from sources that are fetched from, and from files that are imported."""

from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA, Delivery, Source, no_actions
from pm.sources.files import FilePlan, find_files, inspect_file, read_file
from pm.sources.registry import SOURCES, source
from pm.sources.sample import SampleSource

__all__ = [
    "ACTIONS_SCHEMA",
    "BARS_SCHEMA",
    "SOURCES",
    "Delivery",
    "FilePlan",
    "SampleSource",
    "Source",
    "find_files",
    "inspect_file",
    "no_actions",
    "read_file",
    "source",
]
