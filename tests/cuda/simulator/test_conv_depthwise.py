"""Depthwise convolution on CUDA, in all directions, against float64."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from running import local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands
from fastcnn.kernels.cuda.conv import depthwise as conv_depthwise
from fastcnn.kernels.cuda.conv import direct


def depthwise(height, width, channels, kernel, *settings):
    return Problem(height, width, channels, channels, kernel, *settings, groups=channels)


SAME = ((1, 1), (1, 1))
# Runs that end within rows, channels that end within a warp's and beyond it, and every kernel.
PROBLEMS = {
    "3x3": depthwise(4, 9, 17, (3, 3), (1, 1), SAME),
    "3x3, strided": depthwise(5, 6, 20, (3, 3), (2, 2), ((1, 1), (0, 1))),
    "5x5": depthwise(4, 5, 18, (5, 5), (1, 1), ((2, 2), (2, 1))),
    "everything": depthwise(6, 8, 17, (3, 2), (2, 1), ((1, 2), (2, 0)), (2, 3)),
    "one tap": depthwise(3, 4, 2, (1, 1), (2, 3)),
    "many channels": depthwise(2, 3, 33, (2, 2)),
}
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
IMAGES = 2


def drawn(problem):
    """x, kernel, dy, and y, dx, dw in float64."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((IMAGES, problem.height, problem.width, problem.channels))
    kernel = rng.standard_normal((*problem.kernel, 1, problem.channels))
    dy = rng.standard_normal((IMAGES, problem.out_height, problem.out_width, problem.channels))
    x, kernel, dy = (array.astype(np.float32) for array in (x, kernel, dy))
    exact = [array.astype(float) for array in (x, kernel, dy)]
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    y = reference.conv2d(exact[0], exact[1], *settings)
    dx, dw = reference.conv2d_backward(exact[2], exact[0], exact[1], *settings)
    return x, kernel, dy, y, dx, dw


@each_problem
def test_forward(problem):
    x, kernel, _, expected, _, _ = drawn(problem)
    source, weights, y = local(x.shape[1:]), single(kernel.shape), local(expected.shape[1:])
    calls = Calls(IMAGES)
    direct.conv2d_direct(calls, problem, LayerOperands(source, weights, y))
    memory = run(calls, IMAGES, {source: x, weights: kernel})
    assert_close(memory[y].reshape(expected.shape), expected, "sum", "y")


def test_what_follows_the_sums():
    problem = PROBLEMS["3x3"]
    x, kernel, _, expected, _, _ = drawn(problem)
    plus, times = np.random.default_rng(1).standard_normal((2, problem.channels)).astype("f")
    source, weights, y = local(x.shape[1:]), single(kernel.shape), local(expected.shape[1:])
    bias, scale = single(plus.shape), single(times.shape)
    calls = Calls(IMAGES)
    direct.conv2d_direct(calls, problem, LayerOperands(source, weights, y, bias, scale, True))
    memory = run(calls, IMAGES, {source: x, weights: kernel, bias: plus, scale: times})
    expected = np.maximum(expected * times + plus, 0.0)
    assert_close(memory[y].reshape(expected.shape), expected, "sum", "y")


@each_problem
def test_gradient_of_the_input(problem):
    x, kernel, dy, _, expected, _ = drawn(problem)
    source, weights, out = local(dy.shape[1:]), single(kernel.shape), local(x.shape[1:])
    calls = Calls(IMAGES)
    direct.conv2d_direct_dx(calls, problem, source, weights, out)
    memory = run(calls, IMAGES, {source: dy, weights: kernel})
    assert_close(memory[out].reshape(expected.shape), expected, "sum", "dx")


@each_problem
def test_gradient_of_the_kernel(problem):
    x, kernel, dy, _, _, expected = drawn(problem)
    source, above, out = local(x.shape[1:]), local(dy.shape[1:]), single(kernel.shape)
    calls = Calls(IMAGES)
    direct.conv2d_direct_dw(calls, problem, source, above, out)
    memory = run(calls, IMAGES, {source: x, above: dy})
    assert_close(memory[out].reshape(expected.shape), expected, "sum", "dw")


def test_k_slices_are_added_in_order():
    problem = PROBLEMS["3x3"]
    x, kernel, dy, _, _, expected = drawn(problem)
    source, above, out = local(x.shape[1:]), local(dy.shape[1:]), single(kernel.shape)
    # A batch that might be so large has a K slice for each 8 of its rows.
    calls = Calls(5)
    direct.conv2d_direct_dw(calls, problem, source, above, out)
    assert [call.kernel.name for call in calls.emitted][1] == "fold_k_slices"
    assert calls.emitted[0].values["k_slices"] == 3
    memory = run(calls, IMAGES, {source: x, above: dy})
    assert_close(memory[out].reshape(expected.shape), expected, "sum", "dw")


@pytest.mark.parametrize("direction", ["forward", "dx", "dw"])
def test_estimates_are_bound_by_memory(direction):
    problem = depthwise(56, 56, 128, (3, 3), (1, 1), SAME)
    time = direct.cycles(direction, problem, 64)
    assert time == conv_depthwise.time(direction, problem, 64) / 64
    assert time >= 4 * 2 * 56 * 56 * 128 / 4_000
