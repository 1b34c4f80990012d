from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from arch.bootstrap import MCS
from dieboldmariano import dm_test

from pm.errors import InputError
from pm.forecast.policy import FIXED, Policy, assess_policy, train_policy
from pm.forecast.policy.assessment import CONTENDERS, assess_losses
from pm.forecast.policy.bandit import Arm
from pm.forecast.policy.state import STATES
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy import PolicyAssessment
    from pm.settings import ForecastSettings

CUTOFF = date(2010, 1, 1) + timedelta(days=1299)


def assess(losses: NDArray[np.float64], *, overlap: int = 4, differing: float = 0.5) -> PolicyAssessment:
    return assess_losses(
        losses,
        overlap=overlap,
        seed=3,
        first_origin=date(2020, 1, 1),
        last_target=date(2021, 1, 1),
        origins=len(losses),
        differing=differing,
    )


def simulated_losses(naive: float, fixed: float, policy: float, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    common = rng.chisquare(3, 200)[:, None]
    return np.array([naive, fixed, policy]) + common + rng.normal(0, 0.5, (200, 3))


@pytest.mark.parametrize(
    ("means", "accepted", "message"),
    [
        ((1.0, 0.7, 0.4), True, "the fixed rank is not"),
        ((0.4, 0.4, 0.0), True, "the fixed rank is not"),
        ((0.7, 0.4, 0.4), False, "the policy is not significantly better"),
        ((0.0, 0.7, 0.4), False, "the policy is not in"),
        ((1.0, 0.4, 0.7), False, "the policy is not in"),
    ],
)
def test_a_policy_is_accepted_only_if_it_is_better_than_the_fixed_action(
    means: tuple[float, float, float], accepted: bool, message: str
) -> None:
    losses = simulated_losses(*means, seed=1)
    found = assess(losses)
    assert (found.accepted, message in found.reason) == (accepted, True)
    # Another package computes the same confidence set.
    other = MCS(losses, size=CONFIDENCE_SET_SIZE, reps=2000, block_size=4, bootstrap="stationary", seed=5)
    other.compute()
    assert {CONTENDERS[int(str(column))] for column in other.included} == {
        name for name in CONTENDERS if found.p_values[name] > CONFIDENCE_SET_SIZE
    }


def test_the_statistic_is_diebold_and_marianos() -> None:
    losses = simulated_losses(1.0, 0.6, 0.5, seed=2)
    found = assess(losses)
    expected = dm_test(
        [0.0] * 200,
        losses[:, 1].tolist(),
        losses[:, 2].tolist(),
        h=4,
        loss=lambda _, loss: loss,
        variance_estimator="acf",
    )
    assert (found.statistic, found.p_value) == pytest.approx(expected)
    assert found.losses == pytest.approx(dict(zip(CONTENDERS, losses.mean(axis=0), strict=True)))


def test_a_policy_that_always_chooses_the_fixed_action_is_refused() -> None:
    losses = simulated_losses(1.0, 0.5, 0.5, seed=3)
    losses[:, 2] = losses[:, 1]
    found = assess(losses, differing=0.0)
    assert not found.accepted
    assert "for every forecast" in found.reason


def test_a_policy_that_is_no_better_is_rarely_accepted() -> None:
    rng = np.random.default_rng(4)
    accepted = 0
    for _ in range(40):
        common = rng.chisquare(3, 120)[:, None]
        accepted += assess(2 * np.array([1.0, 0, 0]) + common + rng.normal(0, 1, (120, 3))).accepted
    assert (
        accepted <= 6
    )  # Two are expected: in a tenth of the cases one is outside the set, and half of these the fixed.


def test_a_policy_trained_on_waves_is_accepted(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    found = assess_policy(waves, trained, settings=rolling, seed=1)
    assert found.accepted, found.reason
    assert found.losses["policy"] < 0.9 * found.losses["fixed"] < 0.9 * found.losses["naive"]
    assert found.statistic > 2
    assert CUTOFF < found.first_origin <= CUTOFF + timedelta(days=1)
    assert found.last_target <= date(2010, 1, 1) + timedelta(days=1899)
    assert found.origins == 4 * found.dates


def test_a_policy_trained_on_random_walks_is_refused(walks: Panel, rolling: ForecastSettings) -> None:
    walks = walks.only(["R0", "R1"])
    policy = train_policy(walks, settings=rolling, cutoff=CUTOFF, seed=1)
    found = assess_policy(walks, policy, settings=rolling, seed=1)
    assert not found.accepted
    assert found.losses["naive"] == pytest.approx(1, abs=0.25)  # its errors are sums of independent returns
    assert found.p_values["naive"] == 1


def test_only_bars_after_the_cutoff_are_assessed(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    later = replace(trained, cutoff=CUTOFF + timedelta(days=300))
    found = assess_policy(waves.only(["W0"]), later, settings=rolling, seed=1)
    assert found.first_origin == CUTOFF + timedelta(days=301)


def test_too_few_dates_are_refused(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    late = replace(trained, cutoff=date(2010, 1, 1) + timedelta(days=1800))
    with pytest.raises(InputError, match="dates to assess a policy on, too few") as raised:
        assess_policy(waves.only(["W0"]), late, settings=rolling, seed=1)
    assert "earlier cutoff" in raised.value.hint


def test_a_policy_of_the_fixed_action_has_no_differing_forecast(waves: Panel, rolling: ForecastSettings) -> None:
    fixed = Policy({state: {FIXED: Arm(9, 0.0, 0.0)} for state in STATES}, CUTOFF, 10, 0, ("W0",))
    found = assess_policy(waves.only(["W0"]), fixed, settings=rolling, seed=1)
    assert found == assess_policy(waves.only(["W0"]), fixed, settings=rolling, seed=1)
    assert (found.differing, found.accepted) == (0.0, False)
    assert found.losses["fixed"] == found.losses["policy"]
