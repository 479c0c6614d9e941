"""The simulator as `turns` has it run."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn.kernels.cuda.runtime.device import cuda

THREADS = 8


@cuda.jit
def wait_in_one_thread(waiting, reached):
    thread = cuda.threadIdx.x
    if thread == waiting[0]:
        cuda.syncthreads()
    reached[thread] = 1


def test_a_barrier_that_only_one_thread_reaches_is_refused():
    """Of the threads, whose order is random, all but the first find that the first met none."""
    refused = []
    for thread in range(THREADS):
        reached = np.zeros(THREADS)
        try:
            wait_in_one_thread[1, THREADS](np.array([thread]), reached)
        except RuntimeError as error:
            assert f"tid=[{thread}, 0, 0]" in str(error)
            assert "another one of its block does not reach" in str(error)
            refused.append(thread)
            assert not reached[thread]
        else:
            assert reached.all()
    assert len(refused) == THREADS - 1


@cuda.jit
def divide_in_each_thread(divisors, quotients):
    thread = cuda.grid(1)
    cuda.syncthreads()
    quotients[thread] = 1 // divisors[thread]


def test_an_error_names_its_thread_and_ends_the_others():
    divisors, quotients = [1, 1, 0, 1], np.zeros(4)
    with pytest.raises(ZeroDivisionError, match=r"tid=\[2, 0, 0\] ctaid=\[0, 0, 0\]"):
        divide_in_each_thread[1, 4](divisors, quotients)
