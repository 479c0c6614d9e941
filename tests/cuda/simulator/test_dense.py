"""The products of a dense layer and the gradients of biases in the simulator, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from building import assert_close
from running import local, run, single

from fastcnn.kernels.call import Calls, LayerOperands
from fastcnn.kernels.cuda.nn import bias as conv_bias
from fastcnn.kernels.cuda.nn import dense

RNG = np.random.default_rng(0)
SIZES = [(7, 10), (33, 3)]


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("sizes", SIZES)
def test_forward_has_scale_bias_and_relu(sizes):
    features, units = sizes
    calls, images = Calls(4), 3
    x, kernel, bias, scale = numbers(3, features), numbers(*sizes), numbers(units), numbers(units)
    given = {local((features,)): x, single(sizes): kernel, single((units,)): bias}
    of_x, of_kernel, of_bias = given
    of_scale, y = single((units,)), local((units,))
    given[of_scale] = scale
    dense.forward(calls, LayerOperands(of_x, of_kernel, y, of_bias, of_scale, True), sizes)
    expected = np.maximum(x.astype(float) @ kernel * scale + bias, 0.0)
    assert_close(run(calls, images, given)[y].reshape(expected.shape), expected, "sum", "y")


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients(sizes):
    features, units = sizes
    calls, images = Calls(5), 5
    x, dy, kernel = numbers(images, features), numbers(images, units), numbers(*sizes)
    of_x, of_dy, of_kernel = local((features,)), local((units,)), single(sizes)
    out, gradient, of_bias = local((features,)), single(sizes), single((units,))
    dense.dx(calls, of_dy, of_kernel, out, sizes)
    dense.dw(calls, of_x, of_dy, gradient, sizes)
    dense.bias_dw(calls, of_dy, of_bias, units)
    memory = run(calls, images, {of_x: x, of_dy: dy, of_kernel: kernel})
    assert_close(memory[out].reshape(x.shape), dy.astype(float) @ kernel.T, "sum", "dx")
    assert_close(memory[gradient].reshape(sizes), x.astype(float).T @ dy, "sum", "dw")
    assert_close(memory[of_bias], dy.astype(float).sum(axis=0), "sum", "db")


@pytest.mark.parametrize("filters", [1, 5, 35], ids=["one", "few", "more than a block"])
def test_gradient_of_a_bias_in_several_parts(filters):
    images, pixels = 3, 43
    calls, dy, gradient = Calls(images), numbers(images, pixels, filters), single((filters,))
    of_dy = local(dy.shape[1:])
    conv_bias.bias_dw(calls, pixels, filters, of_dy, gradient)
    expected = dy.astype(float).sum(axis=(0, 1))
    assert_close(run(calls, images, {of_dy: dy})[gradient], expected, "sum", "db")
