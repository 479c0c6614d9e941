"""Pooling on CUDA, forward and backward, against float64."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from running import local, run

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda.nn import pooling
from fastcnn.kernels.shared.pooling import average_dx, average_forward, max_dx, max_forward

IMAGES = 2
# Windows of 2x2 that tile the image, that leave a last row and column, that overlap, that skip
# pixels, that hang over the edges, and one that is the whole image.
PROBLEMS = {
    "four": Problem(4, 6, 3, 3, (2, 2), (2, 2)),
    "four with a rest": Problem(5, 7, 3, 3, (2, 2), (2, 2)),
    "four overlapping": Problem(4, 5, 2, 2, (2, 2), (1, 1)),
    "overlapping": Problem(7, 6, 3, 3, (3, 3), (2, 2)),
    "apart": Problem(7, 8, 2, 2, (2, 1), (3, 4)),
    "padded": Problem(5, 6, 3, 3, (3, 2), (2, 1), ((1, 1), (0, 1))),
    "whole": Problem(4, 3, 70, 70, (4, 3), (4, 3)),
}
each = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def shapes(problem):
    inputs = (problem.height, problem.width, problem.channels)
    return inputs, (problem.out_height, problem.out_width, problem.channels)


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal((IMAGES, *shape)).astype(np.float32)


def reference_arguments(problem):
    return problem.kernel, problem.strides, problem.padding


def max_pooled(problem, x, dy, relu):
    """(y, dx) of max pooling and of its gradient."""
    inputs, outputs = shapes(problem)
    calls = Calls(IMAGES)
    first, slope = local(inputs), local(outputs)
    y, index, dx = local(outputs), local(outputs), local(inputs)
    max_forward(pooling, calls, problem, first, y, index, relu)
    max_dx(pooling, calls, problem, slope, index, y if relu else None, dx)
    memory = run(calls, IMAGES, {first: x, slope: dy})
    return memory[y].reshape(dy.shape), memory[dx].reshape(x.shape)


@each
@pytest.mark.parametrize("relu", [False, True])
def test_max_pool(problem, relu):
    inputs, outputs = shapes(problem)
    # Small integers: ties occur, and sums of gradients are exact.
    x, dy = np.round(numbers(inputs)), np.round(4 * numbers(outputs, 1))
    y, dx = max_pooled(problem, x, dy, relu)
    expected = reference.max_pool(x, *reference_arguments(problem))
    if relu:
        dy = np.where(expected > 0, dy, 0)
        expected = np.maximum(expected, 0)
    np.testing.assert_array_equal(y, expected)
    expected = reference.max_pool_backward(dy, x, *reference_arguments(problem))
    np.testing.assert_array_equal(dx, expected)


@each
def test_max_pool_without_a_way_back(problem):
    inputs, outputs = shapes(problem)
    x, calls, first, y = numbers(inputs), Calls(IMAGES), local(inputs), local(outputs)
    max_forward(pooling, calls, problem, first, y, None, False)
    expected = reference.max_pool(x, *reference_arguments(problem))
    np.testing.assert_array_equal(run(calls, IMAGES, {first: x})[y], expected.ravel())


@pytest.mark.parametrize("name", ["four", "overlapping"])
def test_nan_is_the_largest(name):
    problem = PROBLEMS[name]
    inputs, outputs = shapes(problem)
    x, dy = np.ones((IMAGES, *inputs), np.float32), np.ones((IMAGES, *outputs), np.float32)
    x[0, 1, 1, 0] = np.nan
    y, dx = max_pooled(problem, x, dy, True)
    assert np.isnan(y).sum() == 1
    assert dx[0, 1, 1, 0] == 1


@each
@pytest.mark.parametrize("counted", [False, True])
def test_average_pool(problem, counted):
    inputs, outputs = shapes(problem)
    x, dy = numbers(inputs), numbers(outputs, 1)
    calls, first, slope = Calls(IMAGES), local(inputs), local(outputs)
    y, dx = local(outputs), local(inputs)
    edge = problem.padding if counted else ((0, 0), (0, 0))
    average_forward(pooling, calls, problem, edge, first, y)
    average_dx(pooling, calls, problem, edge, slope, dx)
    memory = run(calls, IMAGES, {first: x, slope: dy})
    arguments = (*reference_arguments(problem), False, counted)
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    assert_close(
        memory[y].reshape(dy.shape), reference.average_pool(x, *arguments), "sum", "average"
    )
    expected = reference.average_pool_backward(dy, x, *arguments)
    assert_close(memory[dx].reshape(x.shape), expected, "sum", "average dx")
