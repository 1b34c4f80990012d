"""Typed settings, a module for each file of config/. `load_settings` reads them once; then they are passed on."""

from pm.settings.broker import BrokerSettings
from pm.settings.forecast import CALENDAR_FEATURES, ForecastSettings
from pm.settings.keys import KEYS_FILE, Keys, load_keys, warning_about_keys
from pm.settings.lake import LakeSettings
from pm.settings.llm import DEFAULT_MODEL, LlmSettings
from pm.settings.load import RETIRED, load_settings, with_values
from pm.settings.notify import NotifySettings
from pm.settings.portfolio import ALLOCATOR_NAMES, GroupSettings, PortfolioSettings
from pm.settings.process import (
    child_environment,
    live_account,
    ollama_folders,
    setting_variables,
    user_config_folder,
    workspace_variable,
)
from pm.settings.quality import QualitySettings
from pm.settings.recorded import redact_credentials
from pm.settings.refresh import VENDOR_NAMES, RefreshSettings
from pm.settings.report import ReportSettings
from pm.settings.risk import Limit, RiskSettings
from pm.settings.root import Settings, section_values
from pm.settings.run import RunSettings
from pm.settings.signals import SignalSettings
from pm.settings.sources import ExchangeSettings, SourceSettings
from pm.settings.validation import ValidationSettings
from pm.settings.volatility import VolatilitySettings

__all__ = [
    "ALLOCATOR_NAMES",
    "CALENDAR_FEATURES",
    "DEFAULT_MODEL",
    "KEYS_FILE",
    "RETIRED",
    "VENDOR_NAMES",
    "BrokerSettings",
    "ExchangeSettings",
    "ForecastSettings",
    "GroupSettings",
    "Keys",
    "LakeSettings",
    "Limit",
    "LlmSettings",
    "NotifySettings",
    "PortfolioSettings",
    "QualitySettings",
    "RefreshSettings",
    "ReportSettings",
    "RiskSettings",
    "RunSettings",
    "Settings",
    "SignalSettings",
    "SourceSettings",
    "ValidationSettings",
    "VolatilitySettings",
    "child_environment",
    "live_account",
    "load_keys",
    "load_settings",
    "ollama_folders",
    "redact_credentials",
    "section_values",
    "setting_variables",
    "user_config_folder",
    "warning_about_keys",
    "with_values",
    "workspace_variable",
]
