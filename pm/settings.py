"""Settings: typed once, read once, passed down as a value.

The files of config/ hold every default, with its comment; a file's name is its section. A workspace's own files
are laid over the packaged ones key by key, and `PM_SECTION__KEY` variables over both. Nothing below this module
reads the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pm.errors import SettingsError, did_you_mean
from pm.resources import config_dir

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "CALENDAR_FEATURES",
    "RETIRED",
    "ExchangeSettings",
    "ForecastSettings",
    "LakeSettings",
    "QualitySettings",
    "ReportSettings",
    "RunSettings",
    "Settings",
    "SignalSettings",
    "SourceSettings",
    "VolatilitySettings",
    "load_settings",
]

CALENDAR_FEATURES = ("day_of_week", "month", "month_start", "month_end")
"""What a model may know of sessions to come."""

PREFIX = "PM_"
DELIMITER = "__"

RETIRED = {
    "volatility.window": "volatility.windows is a list of them now",
    "forecast.naive_share": "the share is earned by evidence now",
}
"""Keys of earlier versions, and what became of them."""

Probability = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Window = Annotated[int, Field(ge=2)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSettings(_Section):
    """config/run.yml."""

    engine: Literal["local", "dask", "ray"]
    address: Annotated[str, Field(min_length=1)] | None
    jobs: Annotated[int, Field(ge=0)]
    worker_memory_mb: Annotated[int, Field(ge=0)]
    chunk_size: Count

    @model_validator(mode="after")
    def _an_address_is_of_a_cluster(self) -> RunSettings:
        if self.engine == "local" and self.address is not None:
            raise ValueError("address is of a cluster: set engine to dask or ray, or address to null")
        return self


class LakeSettings(_Section):
    """config/lake.yml."""

    retry_attempts: Count
    retry_base_seconds: Annotated[float, Field(gt=0)]
    expire_after_days: Annotated[int, Field(ge=0)]


class ExchangeSettings(_Section):
    """Which exchange a ticker trades on."""

    tickers: dict[str, str]
    suffixes: dict[str, str]
    sources: dict[str, str]

    def exchange_of(self, ticker: str, source: str) -> str | None:
        """Give the ticker's exchange code, or None where nobody said."""
        if ticker in self.tickers:
            return self.tickers[ticker]
        for suffix, exchange in self.suffixes.items():
            if ticker.endswith(suffix):
                return exchange
        return self.sources.get(source)


class SourceSettings(_Section):
    """config/sources.yml."""

    priority: Annotated[list[str], Field(min_length=1)]
    exchanges: ExchangeSettings


class QualitySettings(_Section):
    """config/quality.yml."""

    jump_sigmas: Annotated[float, Field(gt=0)]
    jump_return: Annotated[float, Field(gt=0)]
    stale_sessions: Window
    gap_sessions: Count
    price_tolerance: Annotated[float, Field(ge=0, lt=0.1)]


class VolatilitySettings(_Section):
    """config/volatility.yml."""

    models: Annotated[list[str], Field(min_length=1)]
    windows: Annotated[list[Annotated[int, Field(ge=50)]], Field(min_length=1)]
    min_observations: Annotated[int, Field(ge=50)]
    ewma_lambda: Probability
    simulations: Annotated[int, Field(ge=500, le=1_000_000)]
    calibration_sessions: Annotated[int, Field(ge=0)]
    refit_sessions: Count
    calibration_simulations: Annotated[int, Field(ge=100, le=1_000_000)]
    conformal_rate: Annotated[float, Field(ge=0, lt=0.5)]
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _nothing_repeats(self) -> VolatilitySettings:
        if len(set(self.models)) != len(self.models) or len(set(self.windows)) != len(self.windows):
            raise ValueError("models and windows must not repeat")
        if max(self.windows) < self.min_observations:
            raise ValueError(f"no window has the {self.min_observations} returns of min_observations")
        return self


class ForecastSettings(_Section):
    """config/forecast.yml."""

    horizon: Annotated[int, Field(ge=1, le=250)]
    window: Annotated[int, Field(ge=30)]
    models: Annotated[list[str], Field(min_length=1)]
    origins: Annotated[int, Field(ge=2)]
    origin_step: Count
    arima_features: list[str]
    group_correlation: Annotated[float, Field(gt=0, le=1)]
    group_size: Count
    max_age_days: Count

    @model_validator(mode="after")
    def _naive_is_among_the_models(self) -> ForecastSettings:
        if "naive" not in self.models:
            raise ValueError("models must contain naive: every other model is measured against it")
        if len(set(self.models)) != len(self.models):
            raise ValueError("models must not repeat")
        return self

    @field_validator("arima_features")
    @classmethod
    def _features_are_known_ahead(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in CALENDAR_FEATURES]
        if unknown:
            known = ", ".join(CALENDAR_FEATURES)
            raise ValueError(f"{unknown[0]} is not known for the sessions to forecast; use some of {known}")
        if len(set(names)) != len(names):
            raise ValueError("features must not repeat")
        return names


class SignalSettings(_Section):
    """config/signals.yml."""

    threshold: Annotated[float, Field(ge=0.5, lt=1)]
    round_trip_cost_bps: Annotated[float, Field(ge=0, lt=10_000)]
    interval_level: Literal["50%", "80%", "90%"]
    target_annual_volatility: Annotated[float, Field(gt=0)]
    max_position: Annotated[float, Field(gt=0, le=1)]
    allow_short: bool
    stop_quantile: Probability
    target_quantile: Probability

    @model_validator(mode="after")
    def _stop_lies_below_target(self) -> SignalSettings:
        if self.stop_quantile >= self.target_quantile:
            raise ValueError("stop_quantile must be below target_quantile")
        return self


class ReportSettings(_Section):
    """config/report.yml."""

    max_charts: Annotated[int, Field(ge=0)]
    history_sessions: Annotated[int, Field(ge=20)]
    max_rows: Count
    keep: Count


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


def load_settings(config: Path | None = None) -> Settings:
    """Read the packaged settings, a workspace's own over them, and the environment over both.

    Parameters
    ----------
    config
        A workspace's config folder, or None for the packaged settings alone.

    Raises
    ------
    SettingsError
        A file that is not YAML, an unknown section or key (the nearest known one is named), or a value out of range.
    """
    known = sorted(Settings.model_fields)
    values = {name: _read_yaml(config_dir() / f"{name}.yml") for name in known}
    origin: dict[str, str] = {name: str(config_dir() / f"{name}.yml") for name in known}
    for file in sorted(config.glob("*.y*ml")) if config and config.is_dir() else []:
        if file.stem not in known:
            raise SettingsError(
                f"Unknown settings file {file.name!r}.{did_you_mean(file.stem, known)}",
                where=str(file),
                hint=f"name it after a section: {', '.join(known)}",
            )
        values[file.stem] = _overlay(values[file.stem], _read_yaml(file))
        origin[file.stem] = str(file)
    _refuse_unknown_variables(known)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, origin) from None


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_SafeLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"Not YAML: {problem}.", where=f"{file}{line}", hint="mend the file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError("A settings file holds `key: value` lines.", where=str(file), hint="mend the file")
    return content


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key, all the way down."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _refuse_unknown_variables(sections: list[str]) -> None:
    for variable in os.environ:
        name = variable.upper()
        if not name.startswith(PREFIX):
            continue
        if DELIMITER not in name:
            _refuse_near_miss(variable, sections)
            continue
        section, _, rest = name.removeprefix(PREFIX).partition(DELIMITER)
        if section.lower() not in sections:
            raise SettingsError(
                f"Unknown section {section.lower()!r}.{did_you_mean(section.lower(), sections)}",
                where=f"environment variable {variable}",
                hint=f"use one of: {', '.join(sections)}",
            )
        annotation = Settings.model_fields[section.lower()].annotation
        keys = list(annotation.model_fields) if isinstance(annotation, type) else []
        key = rest.split(DELIMITER)[0].lower()
        if key not in keys:
            raise SettingsError(
                f"Unknown key {key!r}.{did_you_mean(key, keys)}",
                where=f"environment variable {variable}",
                hint=f"use one of: {', '.join(keys)}",
            )


def _refuse_near_miss(variable: str, sections: list[str]) -> None:
    """Refuse `PM_RUN_JOBS`, which means `PM_RUN__JOBS`; other programs' variables may begin with PM_ too."""
    name = variable.upper().removeprefix(PREFIX).lower()
    section, _, key = name.partition("_")
    if section in sections and key:
        raise SettingsError(
            f"{variable} has one underscore between section and key.",
            where=f"environment variable {variable}",
            hint=f"write two: {PREFIX}{section.upper()}{DELIMITER}{key.upper()}",
        )
    guess = did_you_mean(name, sections)
    if guess and name not in sections:
        raise SettingsError(
            f"Unknown section {name!r}.{guess}",
            where=f"environment variable {variable}",
            hint=f"use one of: {', '.join(sections)}",
        )


def _explain(error: ValidationError, origin: Mapping[str, str]) -> SettingsError:
    """Turn the first of pydantic's complaints into a message of three parts."""
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    if not path:  # a variable that is not JSON where its key is a list or a mapping
        named = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and DELIMITER in name)
        return SettingsError(
            f"A list or a mapping is written as JSON in a variable ({problem['msg']}).",
            where=f"environment variable {' or '.join(named)}",
            hint="""write, say, PM_FORECAST__MODELS='["naive", "drift"]'""",
        )
    variable = next(
        (name for name in os.environ if name.upper() == PREFIX + DELIMITER.join(path[:2]).upper()),
        None,
    )
    where = f"environment variable {variable}" if variable else origin.get(path[0], "settings")
    dotted = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        if dotted in RETIRED:
            said = f"Key {dotted!r} is no more: {RETIRED[dotted]}."
            return SettingsError(said, where=where, hint="delete the line; see CHANGELOG.md")
        return SettingsError(
            f"Unknown key {dotted!r}.{did_you_mean(path[-1], known)}",
            where=where,
            hint=f"use one of: {', '.join(known)}",
        )
    shown = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    return SettingsError(f"{dotted}: {problem['msg']}{shown}.", where=where, hint="mend the value")


def _known_keys(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
