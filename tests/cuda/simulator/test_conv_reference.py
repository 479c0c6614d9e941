"""The definitions of convolution on CUDA, in all directions, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from building import assert_close
from running import local, run, single
from test_conv_direct import PROBLEMS, Numbers

from fastcnn.kernels.call import Calls, LayerOperands
from fastcnn.kernels.cuda.conv import STRATEGIES

each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
each_form = pytest.mark.parametrize("name", ["reference", "reference-im2col"])


@each_form
@each_problem
def test_forward(name, problem):
    numbers = Numbers(problem)
    x, kernel, y = (
        local(numbers.x.shape[1:]),
        single(numbers.kernel.shape),
        local(numbers.y.shape[1:]),
    )
    bias, scale = single(numbers.bias.shape), single(numbers.factors.shape)
    calls = Calls(numbers.images)
    operands = LayerOperands(x, kernel, y, bias, scale, relu=True)
    STRATEGIES[name].forward(calls, problem, operands)
    given = {x: numbers.x, kernel: numbers.kernel, bias: numbers.bias, scale: numbers.factors}
    received = run(calls, numbers.images, given)[y].reshape(numbers.y.shape)
    expected = np.maximum(numbers.y * numbers.factors + numbers.bias, 0)
    assert_close(received, expected, "sum", "y")


@each_form
@each_problem
def test_gradients(name, problem):
    numbers = Numbers(problem)
    x, dx = local(numbers.x.shape[1:]), local(numbers.x.shape[1:])
    dy = local(numbers.dy.shape[1:])
    kernel, dw = single(numbers.kernel.shape), single(numbers.kernel.shape)
    calls = Calls(numbers.images)
    STRATEGIES[name].dx(calls, problem, dy, kernel, dx)
    STRATEGIES[name].dw(calls, problem, x, dy, dw)
    given = {x: numbers.x, dy: numbers.dy, kernel: numbers.kernel}
    memory = run(calls, numbers.images, given)
    assert_close(memory[dx].reshape(numbers.x.shape), numbers.dx, "sum", "dx")
    assert_close(memory[dw].reshape(numbers.kernel.shape), numbers.dw, "sum", "dw")
