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
from pm.forecast.policy.bandit import Arm
from pm.forecast.policy.assessment import CONTENDERS, assess_losses
from pm.forecast.policy.state import STATES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy import Verdict
    from pm.settings import ForecastSettings

CUTOFF = date(2010, 1, 1) + timedelta(days=1299)


def judged(table: NDArray[np.float64], *, overlap: int = 4, differing: float = 0.5) -> Verdict:
    return assess_losses(
        table,
        overlap=overlap,
        seed=3,
        first_origin=date(2020, 1, 1),
        last_target=date(2021, 1, 1),
        origins=len(table),
        differing=differing,
    )


def contest(naive: float, fixed: float, policy: float, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    common = rng.chisquare(3, 200)[:, None]
    return np.array([naive, fixed, policy]) + common + rng.normal(0, 0.5, (200, 3))


@pytest.mark.parametrize(
    ("means", "accepted", "said"),
    [
        ((1.0, 0.7, 0.4), True, "the fixed rank is not"),
        ((0.4, 0.4, 0.0), True, "the fixed rank is not"),
        ((0.7, 0.4, 0.4), False, "the fixed rank is not beaten"),
        ((0.0, 0.7, 0.4), False, "the policy is outside"),
        ((1.0, 0.4, 0.7), False, "the policy is outside"),
    ],
)
def test_it_is_accepted_only_if_it_beats_the_fixed_action(
    means: tuple[float, float, float], accepted: bool, said: str
) -> None:
    table = contest(*means, seed=1)
    found = judged(table)
    assert (found.accepted, said in found.reason) == (accepted, True)
    # The same set by another package.
    other = MCS(table, size=CONFIDENCE_SET_SIZE, reps=2000, block_size=4, bootstrap="stationary", seed=5)
    other.compute()
    assert {CONTENDERS[int(str(place))] for place in other.included} == {
        name for name in CONTENDERS if found.p_values[name] > CONFIDENCE_SET_SIZE
    }


def test_the_statistic_is_diebold_and_marianos() -> None:
    table = contest(1.0, 0.6, 0.5, seed=2)
    found = judged(table)
    expected = dm_test(
        [0.0] * 200,
        table[:, 1].tolist(),
        table[:, 2].tolist(),
        h=4,
        loss=lambda _, loss: loss,
        variance_estimator="acf",
    )
    assert (found.statistic, found.p_value) == pytest.approx(expected)
    assert found.losses == pytest.approx(dict(zip(CONTENDERS, table.mean(axis=0), strict=True)))


def test_a_policy_that_always_chooses_the_fixed_action_is_refused() -> None:
    table = contest(1.0, 0.5, 0.5, seed=3)
    table[:, 2] = table[:, 1]
    found = judged(table, differing=0.0)
    assert not found.accepted
    assert "at every origin" in found.reason


def test_of_no_difference_it_is_seldom_accepted() -> None:
    rng = np.random.default_rng(4)
    accepted = 0
    for _ in range(40):
        common = rng.chisquare(3, 120)[:, None]
        accepted += judged(2 * np.array([1.0, 0, 0]) + common + rng.normal(0, 1, (120, 3))).accepted
    assert accepted <= 6  # two expected: of the tenth with one outside the set, half have the policy there


def test_what_was_learnt_of_waves_is_accepted(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    found = assess_policy(waves, trained, settings=rolling, seed=1)
    assert found.accepted, found.reason
    assert found.losses["policy"] < 0.9 * found.losses["fixed"] < 0.9 * found.losses["naive"]
    assert found.statistic > 2
    assert CUTOFF < found.first_origin <= CUTOFF + timedelta(days=1)
    assert found.last_target <= date(2010, 1, 1) + timedelta(days=1899)
    assert found.origins == 4 * found.dates
    assert found == assess_policy(waves, trained, settings=rolling, seed=1)


def test_what_was_learnt_of_random_walks_is_refused(walks: Panel, rolling: ForecastSettings) -> None:
    policy = train_policy(walks, settings=rolling, cutoff=CUTOFF, seed=1)
    found = assess_policy(walks, policy, settings=rolling, seed=1)
    assert not found.accepted
    assert found.losses["naive"] == pytest.approx(1, abs=0.25)  # its errors are sums of returns
    assert found.p_values["naive"] == 1


def test_bars_up_to_the_cutoff_are_not_judged(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    later = replace(trained, cutoff=CUTOFF + timedelta(days=300))
    found = assess_policy(waves, later, settings=rolling, seed=1)
    assert found.first_origin == CUTOFF + timedelta(days=301)


def test_too_few_dates_are_refused(waves: Panel, rolling: ForecastSettings, trained: Policy) -> None:
    late = replace(trained, cutoff=date(2010, 1, 1) + timedelta(days=1800))
    with pytest.raises(InputError, match="dates to judge a policy on, too few") as raised:
        assess_policy(waves, late, settings=rolling, seed=1)
    assert "earlier cutoff" in raised.value.hint


def test_differing_is_the_share_of_other_choices(waves: Panel, rolling: ForecastSettings) -> None:
    fixed = Policy({state: {FIXED: Arm(9, 0.0, 0.0)} for state in STATES}, CUTOFF, 10, 0, ("W0",))
    found = assess_policy(waves.only(["W0"]), fixed, settings=rolling, seed=1)
    assert (found.differing, found.accepted) == (0.0, False)
    assert found.losses["fixed"] == found.losses["policy"]
