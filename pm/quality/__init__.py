"""Check bars before they are used: rules, adjustment, comparison with the lake, flags."""

from pm.quality.adjustment import adjustment_factors, effective_actions
from pm.quality.bounds import could_be_flagged, deviations, flag_bounds
from pm.quality.check import Checked, check_bars, original_json
from pm.quality.classify import Classified, classify
from pm.quality.flags import flag_bars
from pm.quality.odd_bars import flag_odd_bars
from pm.quality.rebasing import differing, find_rebasings
from pm.quality.rules import DUPLICATE_RULES, EARLIER_VOLUME, row_rules

__all__ = [
    "DUPLICATE_RULES",
    "EARLIER_VOLUME",
    "Checked",
    "Classified",
    "adjustment_factors",
    "check_bars",
    "classify",
    "could_be_flagged",
    "deviations",
    "differing",
    "effective_actions",
    "find_rebasings",
    "flag_bars",
    "flag_bounds",
    "flag_odd_bars",
    "original_json",
    "row_rules",
]
