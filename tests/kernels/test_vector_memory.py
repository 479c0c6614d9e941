"""Vectors of which the first lanes count: those and no others are read and written."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from fastcnn.kernels.cpu.simd.vector import load, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES


@njit
def copy_lanes(source, target, read, written):
    store(load(source, read), target, written)


@pytest.mark.parametrize("lanes", range(LANES + 1))
def test_so_many_lanes_are_written(lanes):
    source = np.arange(1, LANES + 1, dtype=np.float32)
    target = np.full(LANES + 2, -1, np.float32)
    copy_lanes(source.ctypes.data, target[1:].ctypes.data, LANES, lanes)
    np.testing.assert_array_equal(target[1 : 1 + lanes], source[:lanes])
    assert set(target[1 + lanes :]) == {-1} and target[0] == -1


@pytest.mark.parametrize("lanes", range(LANES + 1))
def test_so_many_lanes_are_read_and_the_others_are_zero(lanes):
    source = np.arange(1, LANES + 1, dtype=np.float32)
    target = np.full(LANES, -1, np.float32)
    copy_lanes(source.ctypes.data, target.ctypes.data, lanes, LANES)
    np.testing.assert_array_equal(target, np.where(np.arange(LANES) < lanes, source, 0))
