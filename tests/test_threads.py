"""Threads are limited for the rest of the process, so what a limit does is seen in a new one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hashrec.errors import UsageError
from hashrec.threads import set_threads, threads

PROBE = """
import numpy, numba
from threadpoolctl import threadpool_info
from hashrec.threads import set_threads, threads
set_threads(1)
print(threads(), numba.get_num_threads(), {pool["num_threads"] for pool in threadpool_info()})
"""


def test_one_thread_is_one_thread_for_kernels_and_linear_algebra() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout == "1 1 {1}\n"


@pytest.mark.parametrize("count", [0, -1, 10**6])
def test_a_count_out_of_range_is_refused_and_changes_nothing(count: int) -> None:
    before = threads()
    with pytest.raises(UsageError, match=rf"threads out of range; expected 1 to \d+; got {count}"):
        set_threads(count)
    assert threads() == before
