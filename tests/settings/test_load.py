"""Reading settings from files and environment variables."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pm.errors import SettingsError
from pm.forecast.models import FORECASTERS
from pm.resources import config_dir
from pm.sessions import exchange_codes
from pm.settings import RETIRED, Settings, load_settings
from pm.settings.forecast import MODEL_NAMES
from pm.settings.sources import EXCHANGES, SOURCE_NAMES
from pm.settings.volatility import GARCH_NAMES
from pm.settings.yaml_file import read_mapping
from pm.sources.names import FILES
from pm.sources.registry import OPENERS
from pm.volatility.garch import GARCH_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(9)
)
"""Text of which ten lines stand for 10 billion values."""

_NAMES = st.text(st.characters(exclude_categories=["C"]), max_size=20).filter(
    lambda text: text[:1] not in "+-.0123456789"
)
"""Text that is no number, of which PyYAML, by YAML 1.1, has other ideas: it writes '1e5' without quotes."""
_YAML_VALUES = st.dictionaries(
    _NAMES,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | _NAMES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def test_keys_of_a_workspaces_file_replace_the_packaged_ones_and_no_others(config: Path) -> None:
    (config / "forecast.yml").write_text("horizon: 5\n")
    (config / "sources.yml").write_text("exchanges:\n  tickers: {BTC-USD: 24/7}\n")
    (config / "run.yml").write_text("# no keys\n")
    mine, packaged = load_settings(config), load_settings()
    assert mine.forecast.horizon == 5
    assert mine.forecast.model_copy(update={"horizon": packaged.forecast.horizon}) == packaged.forecast
    assert mine.sources.exchanges.tickers == {"BTC-USD": "24/7"}
    assert mine.sources.exchanges.suffixes == packaged.sources.exchanges.suffixes
    assert mine.run == packaged.run


def test_variables_replace_values_of_files(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "run.yml").write_text("jobs: 3\n")
    monkeypatch.setenv("PM_RUN__JOBS", "2")
    monkeypatch.setenv("pm_forecast__models", '["naive", "drift"]')
    monkeypatch.setenv("PM_SIGNALS__ALLOW_SHORT", "true")
    monkeypatch.setenv("PM_WORKSPACE", str(config.parent))  # read by the command line; not a section
    settings = load_settings(config)
    assert settings.run.jobs == 2
    assert settings.forecast.models == ["naive", "drift"]
    assert settings.signals.allow_short is True


def test_settings_are_immutable() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.run.jobs = 5


@pytest.mark.parametrize(
    ("file", "text", "what", "where"),
    [
        ("forecast.yml", "horzion: 5", "Unknown key 'forecast.horzion'. Did you mean 'horizon'?", "forecast.yml"),
        ("sources.yml", "exchanges: {ticker: {}}", "Did you mean 'tickers'?", "sources.yml"),
        ("forcast.yml", "horizon: 5", "Did you mean 'forecast'?", "forcast.yml"),
        (
            "forecast.yml",
            "horizon: 0",
            "forecast.horizon: Input should be greater than or equal to 1, got 0",
            "forecast",
        ),
        ("forecast.yml", "horizon: soon", "got 'soon'", "forecast.yml"),
        ("forecast.yml", "models: [drift]", "models must contain naive", "forecast.yml"),
        ("forecast.yml", "models: [naive, naive]", "a model is listed twice in models", "forecast.yml"),
        ("volatility.yml", "windows: [100]", "no window has at least min_observations (250) returns", "volatility.yml"),
        ("volatility.yml", "simulations: 1000000000", "less than or equal to 1000000", "volatility.yml"),
        ("signals.yml", "stop_quantile: 0.9", "stop_quantile must be below target_quantile", "signals.yml"),
        ("signals.yml", "interval_level: 95%", "interval_level", "signals.yml"),
        (
            "risk.yml",
            "limits: {max_weight: {bound: 25, action: scale}}",
            "the bound of max_weight is 2,500%, and above 100% it has no effect",
            "risk.yml",
        ),
        ("risk.yml", "limits: {gross: {bound: 100, action: scale}}", "10,000%, and above 1000%", "risk.yml"),
        ("risk.yml", "limits: {group: {bound: 40%, action: scale}}", "no effect without groups", "risk.yml"),
        ("broker.yml", "alpaca_live_url: http://api.alpaca.markets", "alpaca_live_url", "broker.yml"),
        ("broker.yml", "alpaca_paper_url: http://localhost.evil.com", "alpaca_paper_url", "broker.yml"),
        ("broker.yml", 'ib_host: ""', "ib_host", "broker.yml"),
        ("signals.yml", "threshold: .nan", "threshold", "signals.yml"),
        ("signals.yml", "target_annual_volatility: .inf", "should be a finite number", "signals.yml"),
        ("forecast.yml", "horizon: true", "should be a number, not true or false, got True", "forecast.yml"),
        ("signals.yml", "max_position: true", "should be a number, not true or false", "signals.yml"),
        ("volatility.yml", "windows: [1000, true]", "should be a number, not true or false", "volatility.yml"),
        ("run.yml", "jobs: 1\nchunk_size: [", "Not YAML", "run.yml, line "),
        ("run.yml", "jobs: 1\n\tchunk_size: 3", "Not YAML", "run.yml, line 2"),
        ("run.yml", "- jobs", "`key: value` lines", "run.yml"),
        ("run.yml", "jobs:", "run.jobs", "run.yml"),
        ("run.yml", "1: 2", "Unknown key 'run.1'", "run.yml"),
        ("run.yml", "jobs: 2020-01-01", "unable to parse string as an integer, got '2020-01-01'", "run.yml"),
        ("run.yml", "jobs: 2020-13-45", "unable to parse string as an integer", "run.yml"),
        ("run.yml", "jobs: 12:30", "unable to parse string as an integer", "run.yml"),
        ("run.yml", "jobs: 0o9", "unable to parse string as an integer", "run.yml"),
        ("run.yml", f"jobs: {'9' * 5000}", "exceeded maximum size", "run.yml"),
        ("run.yml", "jobs: 1e400", "should be a finite number", "run.yml"),
        ("run.yml", "jobs: !!int abc", "A tag", "run.yml, line 1"),
        ("run.yml", "jobs: !!timestamp x", "A tag", "run.yml, line 1"),
        ("run.yml", "jobs: 1\n? [a]\n: 3", "A key is not text", "run.yml, line 2"),
        ("run.yml", "jobs: 1\n---\njobs: 2", "two documents", "run.yml, line 2"),
        ("run.yml", "jobs: 1\nchunk_size: 2\njobs: 3", "Key 'jobs' occurs twice", "run.yml, line 3"),
        ("sources.yml", "exchanges:\n  tickers: {A: XNYS, 'A': XLON}", "Key 'A' occurs twice", "sources.yml, line 2"),
        ("run.yml", "jobs: \x1b[31m1", "control characters are not allowed", "run.yml"),
        ("run.yml", "[" * 100_000 + "]" * 100_000, "More than 20 lists", "run.yml, line 1"),
        ("run.yml", "jobs: " + "{a: " * 100_000 + "1" + "}" * 100_000, "More than 20 lists", "run.yml, line 1"),
        ("run.yml", "# " + "x" * 2_000_000, "more than 1,000,000 bytes", "run.yml"),
        ("run.yml", f"{'x' * 1_000}: 1", "Unknown key 'run.xxx", "run.yml"),
        ("forecast.yml", f"models: [naive, {'x' * 100_000}]", "unknown model 'xxx", "forecast.yml"),
        ("forecast.yml", "models: &a [naive, *a]", "An alias", "forecast.yml, line 1"),
        ("forecast.yml", _BOMB, "An alias", "forecast.yml, line 2"),
        ("lake.yml", "expire_after_days: 999999999999", "less than or equal to 36525", "lake.yml"),
        ("lake.yml", "retry_attempts: 999999999999", "less than or equal to 25", "lake.yml"),
        ("lake.yml", "retry_base_seconds: 1e300", "less than or equal to 60", "lake.yml"),
        ("forecast.yml", "models: [naive, drifd]", "unknown model 'drifd'. Did you mean 'drift'?", "forecast.yml"),
        ("volatility.yml", "models: [garsh]", "unknown volatility model 'garsh'. Did you mean", "volatility.yml"),
        ("sources.yml", "priority: [sampel]", "unknown source 'sampel'. Did you mean 'sample'?", "sources.yml"),
        ("sources.yml", "priority: [sample, sample]", "a source is listed twice", "sources.yml"),
        ("sources.yml", "exchanges: {sources: {sampel: XNYS}}", "unknown source 'sampel'", "sources.yml"),
        ("sources.yml", "exchanges: {tickers: {A: XNSY}}", "unknown exchange 'XNSY'. Did you mean 'X", "sources.yml"),
        ("sources.yml", "exchanges: {suffixes: {L: XLON}}", "suffix 'L' has no dot before it: write .L", "sources.yml"),
        ("sources.yml", "exchanges: {suffixes: {'': XNYS}}", "suffix '' has no dot before it", "sources.yml"),
        ("sources.yml", "exchanges: {suffixes: {.L: nowhere}}", "unknown exchange 'nowhere'", "sources.yml"),
        ("sources.yml", "exchanges: XNYS", "sources.exchanges", "sources.yml"),
    ],
)
def test_an_error_in_a_file_names_the_file_the_error_and_what_to_do(
    config: Path, file: str, text: str, what: str, where: str
) -> None:
    (config / file).write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert what in refused.value.what
    assert where in refused.value.where
    assert refused.value.hint
    assert refused.value.exit_code == 3
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("section", sorted(Settings.model_fields))
def test_every_number_has_a_largest_value_that_can_be_computed_with(config: Path, section: str) -> None:
    """A number beyond all reason is refused, or is one that nothing is multiplied or dated by."""
    harmless = {"quality.jump_sigmas", "quality.jump_return", "signals.target_annual_volatility"}
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    for key, field in model.model_fields.items():
        if field.annotation in {int, float} and f"{section}.{key}" not in harmless:
            (config / f"{section}.yml").write_text(f"{key}: 99999999999999999999")
            with pytest.raises(SettingsError, match=key):
                load_settings(config)


def test_text_is_not_taken_for_a_date_a_boolean_or_a_number_of_another_base(config: Path) -> None:
    names = ["ON", "NO", "Y", "2020-01-01", "12:30", "1_0", "0x1F", "0700", "<<", "=", "TRUE", "NULL", "1e5"]
    listed = ", ".join(f"{name}: XNYS" for name in names)
    (config / "sources.yml").write_text(f"exchanges: {{tickers: {{{listed}}}}}")
    (config / "signals.yml").write_text("allow_short: yes\nround_trip_cost_bps: 1e1\nthreshold: .75\n")
    (config / "run.yml").write_text("jobs: 010\naddress: ~\nchunk_size: 1_000\n")
    settings = load_settings(config)
    assert list(settings.sources.exchanges.tickers) == names
    assert settings.signals.allow_short is True
    assert (settings.signals.round_trip_cost, settings.signals.threshold) == (0.001, 0.75)
    assert (settings.run.jobs, settings.run.address, settings.run.chunk_size) == (10, None, 1000)


@given(values=_YAML_VALUES)
def test_every_value_that_a_file_can_hold_is_read_as_yaml_reads_it(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    file = tmp_path_factory.mktemp("yaml") / "run.yml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    assert read_mapping(file) == values


def _folder(file: Path) -> None:
    file.mkdir()


def _dangling(file: Path) -> None:
    file.symlink_to("nowhere.yml")


def _circle(file: Path) -> None:
    file.symlink_to(file.name)


def _pipe(file: Path) -> None:
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_folder, "A folder"),
        # Windows lets few users make links, and has named pipes in no folder.
        pytest.param(_dangling, "a link to a file that does not exist", marks=pytest.mark.posix),
        pytest.param(_circle, "cannot be read", marks=pytest.mark.posix),
        pytest.param(_pipe, "Something that is no file", marks=pytest.mark.posix),
    ],
)
def test_what_is_no_file_is_refused(config: Path, make: Callable[[Path], None], what: str) -> None:
    make(config / "run.yml")
    with pytest.raises(SettingsError, match=what) as refused:
        load_settings(config)
    assert refused.value.where == str(config / "run.yml")


def test_a_section_has_one_file_and_hidden_files_are_ignored(config: Path) -> None:
    (config / ".#run.yml").write_text("an editor's lock")
    (config / "notes.txt").write_text("jobs: 1")
    (config / "run.yaml").write_text("jobs: 3")
    assert load_settings(config).run.jobs == 3
    (config / "run.yml").write_text("jobs: 4")
    with pytest.raises(SettingsError, match=r"two files, run\.yaml and run\.yml") as refused:
        load_settings(config)
    assert refused.value.where == str(config)


def test_the_names_in_the_settings_are_those_of_the_rooms() -> None:
    assert set(MODEL_NAMES) == set(FORECASTERS)
    assert set(GARCH_NAMES) == set(GARCH_MODELS)
    assert set(SOURCE_NAMES) == {*OPENERS, FILES}
    assert set(exchange_codes()) >= EXCHANGES


def test_an_exchange_that_only_the_library_knows_is_accepted(config: Path) -> None:
    (config / "sources.yml").write_text("exchanges: {tickers: {A: NYSE}}")
    assert load_settings(config).sources.exchanges.tickers == {"A": "NYSE"}
    assert "NYSE" not in EXCHANGES


def test_a_file_that_is_not_utf_8_is_refused(config: Path) -> None:
    (config / "run.yml").write_bytes(b"jobs: \xff\xfe")
    with pytest.raises(SettingsError, match="Not YAML"):
        load_settings(config)


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("PM_RUM__JOBS", "1", "Unknown section 'rum'. Did you mean 'run'?"),
        ("PM_RUN__JOB", "1", "Unknown key 'job'. Did you mean 'jobs'?"),
        ("PM_RUN__JOBS", "many", "got 'many'"),
        ("PM_RUN__JOBS", "-1", "greater than or equal to 0"),
        ("PM_FORECAST__MODELS", "naive", "must be written as JSON"),
        ("PM_FORECAST__MODELS", "[" * 30_000, "must be written as JSON"),
        ("PM_SOURCES__EXCHANGES", "XNYS", "must be written as JSON"),
        ("PM_SOURCES__EXCHANGES__TICKERS", '{"A": 3}', "got 3"),
        ("PM_SOURCES__EXCHANGES__TICKERS__AAPL", "XNYS", "no keys that a variable can set one by one"),
        ("PM_RUN__JOBS__X", "1", "no keys that a variable can set one by one"),
        ("PM_RUN__JOBS", "9" * 5000, "exceeded maximum size"),
        ("PM_RUN__JOBS", "inf", "got 'inf'"),
        ("PM_RUN", "jobs", "must be written as JSON"),
        ("PM_RUN", "5", "got 5"),
        ("PM_RUN_JOBS", "5", "one underscore"),
        ("PM_JOBS", "5", "names a key without its section"),
        ("PM_WORKSPCE", "here", "Did you mean 'workspace'?"),
    ],
)
def test_an_error_in_a_variable_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert what in refused.value.what
    assert refused.value.where == f"environment variable {variable}"
    assert len(str(refused.value)) < 600


def test_of_several_variables_the_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM_FORECAST__MODELS", '["naive"]')
    monkeypatch.setenv("PM_RUN__JOBS", "1")
    monkeypatch.setenv("PM_VOLATILITY__WINDOWS", "1000")
    monkeypatch.setenv("PM_ID", "another program's")
    with pytest.raises(SettingsError, match="windows") as refused:
        load_settings()
    assert refused.value.where == "environment variable PM_VOLATILITY__WINDOWS"


def test_the_exchange_of_a_ticker_follows_from_its_own_entry_then_its_suffix_then_its_source(config: Path) -> None:
    (config / "sources.yml").write_text('exchanges: {tickers: {VOD.L: "24/7"}}')
    exchanges = load_settings(config).sources.exchanges
    assert exchanges.exchange_of("VOD.L", "sample") == "24/7"
    assert exchanges.exchange_of("BP.L", "sample") == "XLON"
    assert exchanges.exchange_of("IBM", "sample") == "XNYS"
    assert exchanges.exchange_of("IBM", "files") is None


@pytest.mark.parametrize("key", sorted(RETIRED))
def test_a_key_of_an_earlier_version_is_refused_with_what_replaces_it(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    (tmp_path / f"{section}.yml").write_text(f"{name}: 1\n")
    with pytest.raises(SettingsError, match=f"'{key}' was removed: {RETIRED[key][:20]}") as raised:
        load_settings(tmp_path)
    assert "delete the line" in str(raised.value)


SHARES = [
    *("signals.threshold", "signals.round_trip_cost", "signals.interval_level", "signals.target_annual_volatility"),
    *("signals.max_position", "signals.stop_quantile", "signals.target_quantile"),
    *("signals.false_discovery_rate", "portfolio.max_weight", "portfolio.cash_buffer", "portfolio.max_short"),
    *("portfolio.target_annual_volatility", "portfolio.max_turnover", "portfolio.band", "portfolio.kelly_fraction"),
    *("portfolio.es_level", "quality.jump_return", "quality.price_tolerance"),
]


@pytest.mark.parametrize("key", SHARES)
def test_every_share_is_in_percent_in_the_packaged_file_and_read_as_a_fraction_too(tmp_path: Path, key: str) -> None:
    section, _, name = key.partition(".")
    written = yaml.safe_load((config_dir() / f"{section}.yml").read_text("utf-8"))[name]
    assert str(written).endswith("%")
    value = getattr(load_settings().section(section), name)
    assert value == float(Fraction(written.removesuffix("%")) / 100)
    (tmp_path / f"{section}.yml").write_text(f"{name}: {value!r}\n")
    assert load_settings(tmp_path) == load_settings()


def test_every_number_below_one_that_is_no_share_is_a_parameter_without_a_unit() -> None:
    fractions = {
        f"{section}.{name}"
        for section in load_settings().model_dump()
        for name, value in yaml.safe_load((config_dir() / f"{section}.yml").read_text("utf-8")).items()
        if isinstance(value, float) and 0 < value < 1
    }
    assert fractions == {
        "broker.cash_tolerance",
        "broker.impact",
        "forecast.group_correlation",
        "lake.retry_base_seconds",
        "portfolio.tau",
        "risk.decay",
        "volatility.conformal_rate",
        "volatility.ewma_lambda",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("threshold: 60", "at least 50%|below 100%, got 60"),
        ("threshold: 40%", "at least 50%, got '40%'"),
        ("threshold: 100 %", "below 100%, got '100 %'"),
        ("threshold: sixty%", "percentage, such as 60%"),
        ("threshold: 60 percent", "valid number"),
        ("round_trip_cost: 20", "below 100%, got 20"),
        ("max_position: 0%", "above 0%"),
        ("interval_level: 95%", "50%, 80% or 90%"),
        ("interval_level: 90", "50%, 80% or 90%"),
        ("round_trip_cost_bps: much", "basis points"),
        ("round_trip_cost_bps: yes", "basis points"),
        ("round_trip_cost_bps: 20\nround_trip_cost: 0.2%", "both are set"),
    ],
)
def test_a_share_that_cannot_be_meant_is_refused_with_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "signals.yml").write_text(f"{line}\n")
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings(tmp_path)
    assert "signals" in str(refused.value)
    if not line.startswith("round_trip_cost_bps"):
        assert "in percent, such as 60%, or as a fraction, such as 0.6" in refused.value.hint


def test_the_former_spelling_in_basis_points_is_read_in_files_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signals.yml").write_text("round_trip_cost_bps: 35\n")
    assert load_settings(tmp_path).signals.round_trip_cost == 0.0035
    monkeypatch.setenv("PM_SIGNALS__ROUND_TRIP_COST_BPS", "5.5")
    assert load_settings(tmp_path).signals.round_trip_cost == 0.00055
    monkeypatch.delenv("PM_SIGNALS__ROUND_TRIP_COST_BPS")
    monkeypatch.setenv("PM_SIGNALS__ROUND_TRIP_COST", "0.3%")
    assert load_settings(tmp_path).signals.round_trip_cost == 0.003
