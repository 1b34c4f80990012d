"""Deliver bars: from sources that are fetched from, and from files that are imported."""

from pm.sources.actions import actions_in, split_ratio
from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Delivery, Failure, Source, no_actions
from pm.sources.files import FilePlan, Inspected, actions_of, inspect_file, inspect_files, read_file
from pm.sources.finding import find_files
from pm.sources.refusal import refusal_of
from pm.sources.registry import OPENERS, TEXT_VENDOR, is_vendor, require_source, source, text_source
from pm.sources.sample import SampleSource
from pm.sources.texts import TEXTS_SCHEMA, TextAnswer, TextSource

__all__ = [
    "ACTIONS_SCHEMA",
    "BARS_SCHEMA",
    "OPENERS",
    "TEXTS_SCHEMA",
    "TEXT_VENDOR",
    "Answer",
    "Ask",
    "Delivery",
    "Failure",
    "FilePlan",
    "Inspected",
    "SampleSource",
    "Source",
    "TextAnswer",
    "TextSource",
    "actions_in",
    "actions_of",
    "find_files",
    "inspect_file",
    "inspect_files",
    "is_vendor",
    "no_actions",
    "read_file",
    "refusal_of",
    "require_source",
    "source",
    "split_ratio",
    "text_source",
]
