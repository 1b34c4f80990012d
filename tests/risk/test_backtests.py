"""Backtests against shared/ORACLES.md: values of papers, or computed by other packages."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_1samp

from pm.risk.backtests import basel_zone, christoffersen, fz0_loss, kupiec, mcneil_frey, z2, z2_critical


@pytest.mark.parametrize(
    ("exceptions", "days", "probability", "statistic", "p_value"),
    [
        (4, 250, 0.01, 0.769, None),
        (10, 250, 0.01, 12.955, None),
        (16, 1000, 0.01, 3.077, None),
        (52, 1000, 0.05, 0.083, None),
        (0, 250, 0.01, 5.025, 0.0250),
        (7, 255, 0.01, 5.316, 0.0211),
        (12, 510, 0.01, 6.831, 0.0090),
        (17, 1000, 0.01, 4.091, 0.0431),
    ],
)
def test_kupiec(exceptions: int, days: int, probability: float, statistic: float, p_value: float | None) -> None:
    found = kupiec(exceptions, days, probability)
    assert found.statistic == pytest.approx(statistic, abs=6e-4)
    assert p_value is None or found.p_value == pytest.approx(p_value, abs=6e-5)


def days_with(hits: list[int], days: int = 250) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    flags = np.zeros(days, dtype=np.bool_)
    flags[hits] = True
    return flags


def test_christoffersen_with_clustered_exceptions() -> None:
    found = christoffersen(days_with([10, 11, 50, 51, 52, 120, 200, 201, 230, 249]), 0.01)
    assert found.transitions == (234, 6, 5, 4)
    assert found.independence.statistic == pytest.approx(15.4097, abs=6e-5)
    assert found.conditional.statistic == pytest.approx(28.3652, abs=6e-5)


def test_christoffersen_without_two_exceptions_in_a_row() -> None:
    found = christoffersen(days_with([10, 40, 80, 120, 160, 200]), 0.01)
    assert found.transitions == (237, 6, 6, 0)
    assert found.independence.statistic == pytest.approx(0.2963, abs=6e-5)
    assert found.conditional.statistic == pytest.approx(3.8517, abs=6e-5)


def test_christoffersen_without_an_exception_and_with_nothing_else() -> None:
    assert christoffersen(days_with([]), 0.01).independence.statistic == 0.0
    assert christoffersen(~days_with([]), 0.01).independence.statistic == 0.0


@pytest.mark.parametrize(
    ("exceptions", "zone"), [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")]
)
def test_basel_zones_of_250_days_at_99_percent(exceptions: int, zone: str) -> None:
    assert basel_zone(exceptions, 250, 0.01) == zone


@pytest.mark.parametrize("days", [1, 3, 20])
@pytest.mark.parametrize("probability", [0.01, 0.025, 0.05])
def test_few_days_without_an_exception_are_green(days: int, probability: float) -> None:
    assert basel_zone(0, days, probability) == "green"
    assert basel_zone(days, days, probability) != "green"


def test_z2_is_zero_as_forecast_and_minus_one_for_twice_the_exceptions() -> None:
    losses = np.zeros(1000)
    losses[:25] = 2.5
    var, es = np.full(1000, 2.0), np.full(1000, 2.5)
    assert z2(losses, var, es, 0.025) == pytest.approx(0.0)
    losses[:50] = 2.5
    assert z2(losses, var, es, 0.025) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("degrees", "size", "critical", "tolerance"),
    [
        (None, 0.05, -0.700, 0.02), (None, 0.01, -1.034, 0.04), (10, 0.05, -0.724, 0.02), (10, 0.01, -1.088, 0.04),
        (5, 0.05, -0.731, 0.02), (5, 0.01, -1.108, 0.05), (3, 0.05, -0.803, 0.02), (3, 0.01, -1.294, 0.07),
    ],
)  # fmt: skip
def test_critical_values_of_z2(degrees: float | None, size: float, critical: float, tolerance: float) -> None:
    assert z2_critical(250, 0.025, size=size, degrees=degrees) == pytest.approx(critical, abs=tolerance)


def test_critical_values_of_z2_of_a_long_sample() -> None:
    assert z2_critical(1966, 0.025, size=0.01) == pytest.approx(-0.34639, abs=0.015)  # MathWorks
    assert z2_critical(1966, 0.025, size=0.01, degrees=3) == pytest.approx(-0.42986, abs=0.025)


def test_the_test_of_mcneil_and_frey_notices_a_shortfall_that_is_too_small() -> None:
    losses = t(4).rvs(5000, random_state=np.random.default_rng(3))
    var = np.full(5000, t(4).ppf(0.975))
    right = float(t(4).pdf(var[0]) * (4 + var[0] ** 2) / 3 / 0.025)
    assert mcneil_frey(losses, var, np.full(5000, right)).p_value > 0.05
    assert mcneil_frey(losses, var, np.full(5000, 0.8 * right)).p_value < 0.01


def test_the_bootstrap_of_mcneil_and_frey_is_that_of_a_plain_loop() -> None:
    losses = t(4).rvs(1500, random_state=np.random.default_rng(8))
    var, es = np.full(1500, t(4).ppf(0.975)), np.full(1500, 0.95 * t(4).expect(lambda x: x, lb=t(4).ppf(0.975)) / 0.025)
    found = mcneil_frey(losses, var, es)
    excess = [(loss - es[0]) / es[0] for loss in losses if loss > var[0]]
    assert found.count == len(excess)
    assert found.statistic == pytest.approx(ttest_1samp(excess, 0).statistic)
    generator, mean = random.Random(1), statistics.fmean(excess)  # noqa: S311 - a bootstrap, not a secret
    beyond = 0
    for _ in range(3000):
        sample = [value - mean for value in generator.choices(excess, k=len(excess))]
        statistic = statistics.fmean(sample) / (statistics.stdev(sample) / len(sample) ** 0.5)
        beyond += statistic >= found.statistic
    assert 0.02 < found.p_value < 0.98
    assert found.p_value == pytest.approx(beyond / 3000, abs=0.03)


def test_mcneil_and_frey_without_exceptions_have_nothing_to_test() -> None:
    found = mcneil_frey(np.zeros(10), np.ones(10), np.full(10, 2.0))
    assert np.isnan(found.statistic)
    assert found.count == 0


def test_the_true_pair_has_the_smallest_fz0_loss() -> None:
    losses = norm.rvs(size=100_000, random_state=np.random.default_rng(5))
    true_var, true_es = 1.95996, 2.33780

    def mean(var: float, es: float) -> float:
        return float(fz0_loss(losses, np.full(len(losses), var), np.full(len(losses), es), 0.025).mean())

    best = mean(true_var, true_es)
    for var, es in ((0.9, 1.0), (1.1, 1.0), (1.0, 0.9), (1.0, 1.1), (0.9, 0.9), (1.1, 1.1)):
        assert best < mean(true_var * var, true_es * es)
