"""Ledoit and Wolf's shrinkage, against reference values of scikit-learn, and the covariance for optimisers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.risk.covariance import ledoit_wolf, next_covariance

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.risk.joint import JointModel


def test_the_intensity_of_a_sample_by_hand() -> None:
    """With two rows of two columns, x = ±(1, 0): S = diag(1, 0), m = ½, ‖S − mI‖² = ½, and no row differs from S."""
    values = np.array([[1.0, 0.0], [-1.0, 0.0]])
    shrunk, intensity = ledoit_wolf(values, np.full(2, 0.5))
    assert intensity == 0.0
    assert shrunk.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_the_intensity_of_20_shares() -> None:
    """0.0220799 is scikit-learn 1.9.1's, of the last 500 simple returns of the shares that skfolio ships."""
    datasets = pytest.importorskip("skfolio.datasets")
    prices = datasets.load_sp500_dataset().to_numpy()
    returns = prices[-500:] / prices[-501:-1] - 1
    _, intensity = ledoit_wolf(returns, np.full(500, 1 / 500))
    assert intensity == pytest.approx(0.0220799, abs=5e-8)


def test_older_rows_count_less() -> None:
    generator = np.random.default_rng(1)
    old, new = generator.standard_normal((500, 2)), generator.standard_normal((500, 1)) @ np.ones((1, 2))
    weights = 0.99 ** np.arange(999, -1, -1.0)
    shrunk, intensity = ledoit_wolf(np.vstack([old, new]), weights / weights.sum())
    assert shrunk[0, 1] / shrunk[0, 0] > 0.9
    assert 0 < intensity < 0.2


def test_the_covariance_has_the_models_variances_and_is_positive_definite(model: Callable[..., JointModel]) -> None:
    own = model(tickers=30, dates=20)
    covariance = next_covariance(own)
    assert np.diag(covariance) == pytest.approx(own.dynamics[0])
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert (covariance == covariance.T).all() or covariance == pytest.approx(covariance.T)


def test_tickers_that_move_alike_and_a_single_one(model: Callable[..., JointModel]) -> None:
    alike = next_covariance(model(tickers=2, correlation=1.0))
    correlation = alike[0, 1] / np.sqrt(alike[0, 0] * alike[1, 1])
    assert 0.9 < correlation < 1.0
    assert next_covariance(model(tickers=1)).shape == (1, 1)
