"""Many calls: the process neither grows nor dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pm.errors import ModelError
from pm.llm.engine import Engine

if TYPE_CHECKING:
    from pm.llm.engine import EngineOptions

CALLS = 10_000
WARM = 500
"""Number of calls after which buffers have their size."""
MOST_GROWTH = 8e6
"""Bytes that the process may grow by in all later calls: less than a thousand a call."""


@pytest.mark.slow
def test_ten_thousand_calls_leave_the_process_as_it_was(options: EngineOptions) -> None:
    with Engine(options) as engine:
        process = engine._process
        memory = []
        for number in range(CALLS):
            if number % 10 == 7:
                with pytest.raises(ModelError):
                    engine.generate(["Once"], max_tokens=2, seed=1, deadline_seconds=60, grammar="root ::= (")
            elif number % 10 == 8:
                call = engine.generate(["Once"], max_tokens=2, seed=number, deadline_seconds=60).call
            else:
                deadline = 0.002 if number % 10 == 9 else 60
                suffixes = [f"T{number}. Action:", "Action:"]
                call = engine.score("A share. ", suffixes, [" buy", " hold"], deadline_seconds=deadline).call
            memory.append(call.memory_bytes)
        assert engine.restarts == 0
        assert engine._process is process
        assert max(memory[WARM:]) - memory[WARM] < MOST_GROWTH
