"""Depthwise convolution on problems that fit its tiles badly, in every direction."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close

from fastcnn.functional import conv2d, conv2d_dw, conv2d_dx
from fastcnn.graph.problem import Problem


def depthwise(height, width, channels, kernel, **more):
    return Problem(height, width, channels, channels, kernel, groups=channels, **more)


ONE, TWO, THREE = (((n, n), (n, n)) for n in (1, 2, 3))
PROBLEMS = {
    "one pixel": depthwise(1, 1, 17, (3, 3), padding=ONE),
    "one column": depthwise(9, 1, 5, (3, 3), padding=ONE),
    "one row": depthwise(1, 9, 33, (3, 3), padding=ONE),
    "odd": depthwise(7, 13, 17, (3, 3), padding=ONE),
    "without padding": depthwise(6, 5, 64, (3, 3)),
    "stride 2": depthwise(9, 11, 20, (3, 3), strides=(2, 2), padding=ONE),
    "strides (1, 2)": depthwise(6, 9, 16, (3, 3), strides=(1, 2), padding=ONE),
    "stride 3, pixels left out": depthwise(11, 10, 6, (2, 2), strides=(3, 3)),
    "dilation 2": depthwise(9, 8, 33, (3, 3), dilation=(2, 2), padding=TWO),
    "uneven padding": depthwise(6, 7, 16, (3, 3), padding=((2, 0), (0, 1))),
    "padding beyond the kernel": depthwise(4, 4, 3, (3, 3), padding=THREE),
    "5x5": depthwise(8, 10, 48, (5, 5), padding=TWO),
    "5x5 stride 2": depthwise(11, 12, 7, (5, 5), strides=(2, 2), padding=TWO),
    "7x7 on a smaller image": depthwise(4, 5, 34, (7, 7), padding=THREE),
    "1x3": depthwise(5, 8, 18, (1, 3)),
    "many rows": depthwise(40, 6, 65, (3, 3), padding=ONE),
}


def check(problem, batch, draw, tolerance):
    x = draw(batch, problem.height, problem.width, problem.channels)
    kernel = draw(*problem.kernel, 1, problem.channels)
    bias = draw(problem.channels)
    dy = draw(batch, problem.out_height, problem.out_width, problem.filters)
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    y = reference.conv2d(x, kernel, *settings) + bias
    dx, dw = reference.conv2d_backward(dy, x, kernel, *settings)
    assert_close(conv2d(x, kernel, bias, problem), y, tolerance, "y")
    assert_close(conv2d_dx(dy, kernel, problem), dx, tolerance, "dx")
    assert_close(conv2d_dw(x, dy, problem), dw, tolerance, "dw")


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", PROBLEMS)
def test_directions(name, batch):
    generator = np.random.default_rng(0)
    check(PROBLEMS[name], batch, lambda *shape: generator.standard_normal(shape), "sum")


@pytest.mark.parametrize("name", PROBLEMS)
def test_integers_are_exact(name):
    generator = np.random.default_rng(1)
    draw = lambda *shape: generator.integers(-3, 4, shape).astype(np.float64)  # noqa: E731
    check(PROBLEMS[name], 3, draw, "exact")
