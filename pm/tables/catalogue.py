"""List every table of the lake by its name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from pm.tables.commentary import COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS
from pm.tables.features import FEATURES
from pm.tables.forecast import FORECASTS, MEMBER_SETS, MODEL_WEIGHTS, POLICIES
from pm.tables.lake import DICTIONARY, FILE_CHECKSUMS
from pm.tables.ledger import (
    ACCOUNTS,
    AUDIT_HEADS,
    CASH_EVENTS,
    FILLS,
    HALTS,
    ORDER_EVENTS,
    ORDERS,
    RECONCILIATIONS,
)
from pm.tables.llm import LLM_CALLS
from pm.tables.monitor import HEALTH_CHECKS
from pm.tables.observations import OBSERVATION_TESTS, OBSERVATIONS
from pm.tables.pipeline import EXCLUSIONS, RUNS, STAGE_EVENTS
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.quality import (
    BAR_FLAGS,
    BARS,
    FLAG_BOUNDS,
    QUARANTINE,
    REBASINGS,
    RECONCILIATION,
    RESTATEMENTS,
    TICKER_SOURCES,
)
from pm.tables.relative import RELATIVE_FITS, RELATIVE_TESTS
from pm.tables.risk import (
    EXPOSURES,
    FACTOR_RETURNS,
    LIMIT_EVENTS,
    PORTFOLIO_RISK,
    RISK_CONTRIBUTIONS,
    STRESS_RESULTS,
)
from pm.tables.signals import SIGNALS
from pm.tables.sources import (
    FETCHES,
    FOLDERS,
    RAW_ACTIONS,
    RAW_BARS,
    RAW_BATCHES,
    RAW_TEXTS,
    SPLICES,
    TEXT_FETCHES,
    UNIVERSE,
    UNIVERSE_CHANGES,
)
from pm.tables.texts import LLM_OPINIONS, TEXT_SENTIMENT
from pm.tables.track import VALIDATIONS
from pm.tables.validation import (
    FORECAST_DATES,
    OVERFITTING_TESTS,
    TRIAL_FILLS,
    TRIAL_JUDGEMENTS,
    TRIAL_RETURNS,
    TRIAL_TARGETS,
    TRIAL_TESTS,
    TRIALS,
)
from pm.tables.volatility import PANEL_FITS, PANEL_MARKET, VOLATILITY, VOLATILITY_FITS, VOLATILITY_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.tables.declaration import Table

__all__ = ["TABLES"]

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.qualified: table
        for table in (
            RAW_BARS,
            RAW_ACTIONS,
            RAW_BATCHES,
            RAW_TEXTS,
            UNIVERSE,
            UNIVERSE_CHANGES,
            FETCHES,
            TEXT_FETCHES,
            SPLICES,
            FOLDERS,
            BARS,
            QUARANTINE,
            BAR_FLAGS,
            RECONCILIATION,
            RESTATEMENTS,
            REBASINGS,
            TICKER_SOURCES,
            FLAG_BOUNDS,
            FEATURES,
            VOLATILITY,
            VOLATILITY_FITS,
            VOLATILITY_MEMBERS,
            PANEL_FITS,
            PANEL_MARKET,
            FORECASTS,
            MODEL_WEIGHTS,
            MEMBER_SETS,
            EXCLUSIONS,
            SIGNALS,
            PORTFOLIO_RISK,
            RISK_CONTRIBUTIONS,
            STRESS_RESULTS,
            FACTOR_RETURNS,
            EXPOSURES,
            LIMIT_EVENTS,
            TARGETS,
            PORTFOLIO_RUNS,
            ACCOUNTS,
            ORDERS,
            ORDER_EVENTS,
            FILLS,
            CASH_EVENTS,
            RECONCILIATIONS,
            HALTS,
            AUDIT_HEADS,
            COMMENTARY,
            COMMENTARY_CELLS,
            RISK_ASSESSMENTS,
            RISK_CONCERNS,
            POLICIES,
            RELATIVE_FITS,
            RELATIVE_TESTS,
            LLM_CALLS,
            TEXT_SENTIMENT,
            LLM_OPINIONS,
            VALIDATIONS,
            OBSERVATIONS,
            OBSERVATION_TESTS,
            TRIALS,
            TRIAL_RETURNS,
            TRIAL_FILLS,
            TRIAL_TARGETS,
            TRIAL_TESTS,
            TRIAL_JUDGEMENTS,
            OVERFITTING_TESTS,
            FORECAST_DATES,
            RUNS,
            STAGE_EVENTS,
            HEALTH_CHECKS,
            DICTIONARY,
            FILE_CHECKSUMS,
        )
    }
)
"""Tables by their name as SQL writes it, such as 'raw.bars' and 'forecasts'."""
