"""All settings of a workspace, as one value."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pm.settings.forecast import ForecastSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.lake import LakeSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.quality import QualitySettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.report import ReportSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.run import RunSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.signals import SignalSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.sources import SourceSettings  # noqa: TC001 - pydantic reads the fields' types
from pm.settings.volatility import VolatilitySettings  # noqa: TC001 - pydantic reads the fields' types

__all__ = ["DELIMITER", "PREFIX", "Settings"]

PREFIX = "PM_"
DELIMITER = "__"


class Settings(BaseSettings):
    """Every setting of a workspace; immutable."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter=DELIMITER, case_sensitive=False
    )

    run: RunSettings
    lake: LakeSettings
    sources: SourceSettings
    quality: QualitySettings
    volatility: VolatilitySettings
    forecast: ForecastSettings
    signals: SignalSettings
    report: ReportSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables win over files; read neither .env files nor secrets."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def section(self, name: str) -> BaseModel:
        """Give a section by its file's name."""
        value = getattr(self, name)
        assert isinstance(value, BaseModel)  # noqa: S101 - every field of this class is a section
        return value
