from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pm.statistics.proportions import wilson


@given(trials=st.integers(1, 500), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_interval_equals_scipys(trials: int, share: float, level: float) -> None:
    hits = round(share * trials)
    theirs = binomtest(hits, trials).proportion_ci(level, method="wilson")
    # Limits near 0 are differences of numbers of about 1; the two normal quantiles agree to 1e-15 relatively.
    assert wilson(hits, trials, level=level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_interval_without_trials_is_nan() -> None:
    assert wilson(0, 0) == pytest.approx((float("nan"), float("nan")), nan_ok=True)
