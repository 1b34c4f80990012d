"""Check bars before they are used: rules, adjustment, comparison with the lake, flags."""

from pm.quality.adjustment import adjustment_factors
from pm.quality.check import Checked, check_bars, original_json
from pm.quality.classify import Classified, classify
from pm.quality.flags import flag_bars
from pm.quality.rules import DUPLICATE_RULES, row_rules

__all__ = [
    "DUPLICATE_RULES",
    "Checked",
    "Classified",
    "adjustment_factors",
    "check_bars",
    "classify",
    "flag_bars",
    "original_json",
    "row_rules",
]
