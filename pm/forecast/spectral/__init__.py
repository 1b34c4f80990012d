"""Singular spectrum analysis, from which the spectral forecasters are built.

`page` lays series out as matrices, `rank` says how many of their singular vectors are signal, `recurrence` turns those
into a linear recurrence that extrapolates, and `autoregression` forecasts what they leave over. `stack` puts them
together for several series; `detrending` and `prices` bring log prices to it.
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
