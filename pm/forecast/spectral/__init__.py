"""Singular spectrum analysis, the basis of the forecasters samossa and mssa_cp.

`page` arranges series as matrices; `rank` chooses how many of their singular vectors are signal; `recurrence` derives
the linear recurrence that extrapolates the signal; `autoregression` forecasts the residual; `stack` combines these for
several series. `detrending` and `prices` apply them to log prices, and `change_points` detects where a recurrence
changes.
"""

from __future__ import annotations

from pm.forecast.spectral.autoregression import Autoregression, fit_autoregression
from pm.forecast.spectral.page import Scaling, page_matrix, stacked_pages, trailing_windows, unpage, window_length
from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule, choose_rank
from pm.forecast.spectral.recurrence import DegenerateError, Recurrence, fit_recurrence
from pm.forecast.spectral.stack import Stack, fit_stack

__all__ = [
    "GAVISH_DONOHO",
    "Autoregression",
    "DegenerateError",
    "RankRule",
    "Recurrence",
    "Scaling",
    "Stack",
    "choose_rank",
    "fit_autoregression",
    "fit_recurrence",
    "fit_stack",
    "page_matrix",
    "stacked_pages",
    "trailing_windows",
    "unpage",
    "window_length",
]
