from __future__ import annotations

import numpy as np
import pytest

from pm.statistics.bootstrap import stationary_bootstrap


def test_the_bootstrap_is_stationary_with_blocks_of_their_mean_length() -> None:
    drawn = stationary_bootstrap(50, block=5, reps=4000, generator=np.random.default_rng(0))
    assert drawn.shape == (4000, 50)
    np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=50) / drawn.size, 1 / 50, rtol=0.06)
    # A block continues with probability 1 − 1/5; otherwise the next one may begin at the following position by chance.
    follows = (np.diff(drawn, axis=1) % 50 == 1).mean()
    assert follows == pytest.approx(0.8 + 0.2 / 50, abs=0.005)
    single = stationary_bootstrap(50, block=1, reps=2000, generator=np.random.default_rng(1))
    assert (np.diff(single, axis=1) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.003)
