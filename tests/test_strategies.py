"""Convolutions by themselves, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close

from fastcnn.convolutions import Convolution, conv2d, conv2d_dw, conv2d_dx
from fastcnn.problem import Problem

PROBLEMS = {
    "3x3": Problem(9, 7, 5, 20, (3, 3)),
    "one channel, same": Problem(12, 12, 1, 6, (5, 5), padding=((2, 2), (2, 2))),
    "strided, uneven padding": Problem(11, 8, 3, 17, (3, 2), (2, 3), ((1, 0), (0, 1))),
    "dilated groups": Problem(10, 10, 6, 8, (3, 3), dilation=(2, 2), groups=2),
    "1x1": Problem(6, 6, 33, 16, (1, 1)),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("batch", [1, 5])
def test_directions(name, batch):
    problem = PROBLEMS[name]
    generator = np.random.default_rng(1)
    x = generator.standard_normal((batch, problem.height, problem.width, problem.channels))
    shape = (*problem.kernel, problem.channels_per_group, problem.filters)
    kernel, bias = generator.standard_normal(shape), generator.standard_normal(problem.filters)
    dy = generator.standard_normal((batch, problem.out_height, problem.out_width, problem.filters))
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    y = conv2d(x, kernel, bias, problem)
    assert_close(y, reference.conv2d(x, kernel, *settings) + bias, "sum", "y")
    expected_dx, expected_dw = reference.conv2d_backward(dy, x, kernel, *settings)
    assert_close(conv2d_dx(dy, kernel, problem), expected_dx, "sum", "dx")
    assert_close(conv2d_dw(x, dy, problem), expected_dw, "sum", "dw")


def test_arrays_that_do_not_fit_are_refused():
    problem = PROBLEMS["1x1"]
    with pytest.raises(ValueError, match=r"Expected an array of shape \(2, 6, 6, 33\)"):
        Convolution("direct", "forward", problem, np.zeros((2, 6, 6, 3)), np.zeros((1, 1, 33, 16)))
    with pytest.raises(ValueError, match=r"direction must be one of"):
        Convolution("direct", "backward", problem, np.zeros(1), np.zeros(1))
