from __future__ import annotations

import math
from typing import Any

from pm.compiled import compiled


def test_without_a_folder_to_keep_it_in_a_function_is_compiled_all_the_same() -> None:
    """A function that has no file has no folder either: where numba would refuse, it is compiled for this process."""
    names: dict[str, Any] = {}
    exec("def twice(x):\n    return 2.0 * x\n", names)  # noqa: S102 - that is how it has no file
    assert compiled(names["twice"])(4.0) == 8.0


def test_division_by_zero_stops_nothing() -> None:
    names: dict[str, Any] = {}
    exec("def inverse(x):\n    return 1.0 / x\n", names)  # noqa: S102 - as above
    assert math.isinf(compiled(names["inverse"])(0.0))
