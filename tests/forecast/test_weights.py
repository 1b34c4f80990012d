from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.forecast.weights import ensemble_weights

LOSSES = st.dictionaries(st.sampled_from(["drift", "theta", "arima", "ets"]), st.floats(1e-8, 1e2), max_size=4)


def test_by_hand() -> None:
    # Inverse losses 1, 2, 1 of 4; a quarter of everything goes to naive first.
    weights = ensemble_weights({"naive": 1.0, "theta": 0.5, "drift": 1.0}, naive_share=0.25)
    assert weights == pytest.approx({"naive": 0.25 + 0.75 * 0.25, "theta": 0.75 * 0.5, "drift": 0.75 * 0.25})


def test_equals_bates_and_granger_for_two_uncorrelated_forecasts() -> None:
    # Their equation: k = σ₂² / (σ₁² + σ₂²).
    weights = ensemble_weights({"naive": 0.09, "drift": 0.04}, naive_share=0.0)
    assert weights["drift"] == pytest.approx(0.09 / (0.09 + 0.04))


@given(losses=LOSSES, naive=st.floats(1e-8, 1e2), share=st.floats(0, 1))
def test_weights_are_shares(losses: dict[str, float], naive: float, share: float) -> None:
    weights = ensemble_weights({"naive": naive, **losses}, naive_share=share)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) >= 0
    assert weights["naive"] >= share


@given(losses=LOSSES, share=st.floats(0, 0.9), scale=st.floats(1e-3, 1e3))
def test_better_weighs_more_and_the_unit_does_not_matter(losses: dict[str, float], share: float, scale: float) -> None:
    losses = {"naive": 1.0, **losses}
    weights = ensemble_weights(losses, naive_share=share)
    others = [model for model in losses if model != "naive"]
    for first in others:
        for second in others:
            if losses[first] < losses[second]:
                assert weights[first] >= weights[second]
    scaled = ensemble_weights({model: loss * scale for model, loss in losses.items()}, naive_share=share)
    assert scaled == pytest.approx(weights)


def test_naive_alone() -> None:
    assert ensemble_weights({"naive": 0.3}, naive_share=0.25) == pytest.approx({"naive": 1.0})
    assert ensemble_weights({"naive": 0.3, "drift": 0.1}, naive_share=1.0) == pytest.approx({"naive": 1, "drift": 0})


def test_a_price_that_did_not_move_teaches_nothing() -> None:
    assert ensemble_weights({"naive": 0.0, "drift": 0.0}, naive_share=0.0) == {"naive": 1.0, "drift": 0.0}


def test_perfect_forecasts_share_what_there_is() -> None:
    weights = ensemble_weights({"naive": 1.0, "drift": 0.0, "theta": 0.0}, naive_share=0.0)
    assert weights == pytest.approx({"naive": 0.0, "drift": 0.5, "theta": 0.5}, abs=1e-8)
