from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import psutil
from hypothesis import given
from hypothesis import strategies as st

from pm.pipeline.meter import Meter, pause_after

MIB = 1024**2
HOLD = """
import sys
block = bytearray({mib} * 2**20)
block[::4096] = b'x' * len(block[::4096])  # pages that are never written take no memory
print('held', flush=True)
sys.stdin.readline()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
sys.stdin.readline()
child.communicate('')
"""


def holding(mib: int, *, in_child: bool = False) -> subprocess.Popen[str]:
    """Return a process that holds so much memory, or whose child does, until it is told to end."""
    hold = HOLD.format(mib=mib)
    command = ["-c", PARENT, hold] if in_child else ["-c", hold]
    process = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


def memory_of_all() -> float:
    """Return the memory of this process and of the children that other tests left to it, in MiB."""
    this = psutil.Process()
    return sum(process.memory_info().rss for process in [this, *this.children(recursive=True)]) / MIB


def test_the_memory_of_children_and_their_children_counts() -> None:
    alone = psutil.Process().memory_info().rss / MIB
    with Meter() as meter:
        child, grandchild = holding(150), holding(150, in_child=True)
        _, both = meter.read()
        child.communicate("")
        grandchild.communicate("")
    assert both > alone + 300 - 20  # this process may have given back some
    assert meter.peak_memory_mb >= both


def test_a_child_that_started_before_counts() -> None:
    child = holding(150)
    with Meter() as meter:
        pass
    child.communicate("")
    assert meter.peak_memory_mb > psutil.Process().memory_info().rss / MIB + 130


def test_a_child_that_ended_before_does_not_count() -> None:
    holding(400).communicate("")
    before = memory_of_all()
    with Meter() as meter:
        pass
    assert meter.peak_memory_mb < before + 200


def test_memory_that_was_freed_before_the_end_is_in_the_peak() -> None:
    """The sampler saw it; neither end does."""
    with Meter() as meter:
        before = meter.peak_memory_mb
        block = np.ones(200 * MIB // 8)
        while meter.peak_memory_mb < before + 150:
            time.sleep(0.01)
        del block
    assert meter.peak_memory_mb >= before + 150


def test_a_child_that_started_and_ended_meanwhile_is_in_the_peak() -> None:
    with Meter() as meter:
        before = meter.peak_memory_mb
        child = holding(200)
        while meter.peak_memory_mb < before + 150:
            time.sleep(0.01)
        child.communicate("")
    assert meter.peak_memory_mb >= before + 150


def test_no_thread_is_left() -> None:
    threads = threading.active_count()
    with Meter() as meter:
        assert threading.active_count() == threads + 1
    assert threading.active_count() == threads
    assert meter.seconds > 0


@given(took=st.floats(0, 1e6), at_least=st.floats(0.01, 10))
def test_what_is_paused_for_takes_a_hundredth_of_the_time(took: float, at_least: float) -> None:
    pause = pause_after(took, at_least=at_least)
    assert pause >= at_least
    assert took <= 0.01 * (took + pause) * (1 + 1e-9)
