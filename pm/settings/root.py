"""All settings of a workspace, as one value."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pm.settings.broker import BrokerSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.forecast import ForecastSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.lake import LakeSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.llm import LlmSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.notify import NotifySettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.portfolio import PortfolioSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.quality import QualitySettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.recorded import recorded_values
from pm.settings.refresh import RefreshSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.report import ReportSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.risk import RiskSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.run import RunSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.signals import SignalSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.sources import SourceSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.validation import ValidationSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.volatility import VolatilitySettings  # noqa: TC001 - pydantic reads the fields' types

__all__ = ["DELIMITER", "PREFIX", "Settings", "section_values"]

PREFIX = "PM_"
"""Prefix of the environment variables that set a value."""
DELIMITER = "__"
"""What separates section and key in the name of an environment variable: PM_RUN__JOBS."""


class Settings(BaseSettings):
    """All settings of a workspace, a field for each section. They are immutable."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter=DELIMITER, case_sensitive=False
    )

    run: RunSettings
    lake: LakeSettings
    sources: SourceSettings
    refresh: RefreshSettings
    quality: QualitySettings
    volatility: VolatilitySettings
    forecast: ForecastSettings
    signals: SignalSettings
    risk: RiskSettings
    portfolio: PortfolioSettings
    broker: BrokerSettings
    validation: ValidationSettings
    llm: LlmSettings
    report: ReportSettings
    notify: NotifySettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read environment variables before the files' values, and neither .env files nor secrets files."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def section(self, name: str) -> BaseModel:
        """Return a section by the name of its file."""
        value = getattr(self, name)
        assert isinstance(value, BaseModel)  # noqa: S101 - every field of this class is a section
        return value

    def recorded(self) -> str:
        """Return the settings as JSON text, to be stored with a run: all values but secrets."""
        return to_json(recorded_values(self)).decode()


def section_values(settings: Settings, name: str) -> Any:  # noqa: ANN401 - whatever the section or the key holds
    """Return the values of a section, or the value of one key, on which a stage depends.

    Parameters
    ----------
    settings
        The settings of the workspace.
    name
        A section ("forecast"), or a key of one ("forecast.horizon", "sources.exchanges").

    Returns
    -------
    Any
        Values as JSON can hold them, without secrets: a changed password does not change what a stage computes.

    Raises
    ------
    KeyError
        There is no key of this name, or it is a secret.
    """
    section, *keys = name.split(".")
    values = recorded_values(settings.section(section))
    for key in keys:
        values = values[key]
    return values
