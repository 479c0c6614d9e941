"""Implicit im2col in the simulator: every shape of window, in all directions, against float64."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from running import local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv import im2col
from fastcnn.kernels.cuda.gemm.tile import Tile
from fastcnn.kernels.cuda.gemm.tile_selection import Plan

RNG = np.random.default_rng(0)
SMALL = Tile(32, 32, 8, 8, 4)  # a single warp, so that a few pixels already are several tiles
IMAGES = 2

PROBLEMS = {
    "plain": Problem(5, 4, 3, 5, (3, 3)),
    "padded": Problem(5, 6, 3, 4, (3, 3), padding=((1, 1), (1, 1))),
    "strided": Problem(6, 7, 2, 3, (3, 3), (2, 2), ((0, 1), (1, 1))),
    "strides over taps": Problem(7, 8, 2, 3, (2, 1), (3, 2)),
    "dilated": Problem(8, 7, 2, 3, (3, 2), padding=((2, 2), (1, 1)), dilation=(2, 3)),
    "strided and dilated": Problem(9, 8, 2, 3, (3, 3), (2, 2), ((2, 1), (0, 3)), (2, 3)),
    "stride 4, dilation 6": Problem(15, 5, 1, 2, (2, 2), (4, 2), ((1, 0), (0, 0)), (6, 1)),
    "groups": Problem(4, 5, 6, 4, (3, 3), padding=((1, 1), (1, 1)), groups=2),
    "1 x 1 groups": Problem(3, 3, 6, 4, (1, 1), groups=2),
    "1 x 1 strided": Problem(5, 5, 3, 4, (1, 1), (2, 2)),
    "window beyond a slice": Problem(3, 3, 9, 4, (3, 3), padding=((1, 1), (1, 1))),
    "tiles of filters": Problem(2, 3, 33, 34, (2, 1), padding=((1, 0), (0, 0))),
}


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS.keys())
def problem(request):
    return request.param


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Every product in tiles of one warp, not split."""
    use(monkeypatch, 1)


def use(monkeypatch, k_slices):
    kinds = {"FORWARD": "make_forward", "DX": "make_dx", "DW": "make_dw"}
    for table, make in kinds.items():
        if SMALL not in getattr(im2col, table):
            made = getattr(im2col, make)(SMALL)
            monkeypatch.setitem(getattr(im2col, table), SMALL, made)
    monkeypatch.setattr(im2col, "best_plan", lambda *_: Plan(SMALL, k_slices, 0.0))


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def image(problem, images=IMAGES):
    return numbers(images, problem.height, problem.width, problem.channels)


def outputs(problem, images=IMAGES):
    return numbers(images, problem.out_height, problem.out_width, problem.filters)


def weights(problem):
    return numbers(*problem.kernel, problem.channels_per_group, problem.filters)


def settings(problem):
    return (problem.strides, problem.padding, problem.dilation, problem.groups)


def backward(problem, dy, x, kernel):
    arrays = (one.astype(float) for one in (dy, x, kernel))
    return reference.conv2d_backward(*arrays, *settings(problem))


def forward(problem, x, kernel, bias=None, scale=None, relu=False):
    calls = Calls(IMAGES)
    places = {"x": local(x.shape[1:]), "kernel": single(kernel.shape)}
    given = {places["x"]: x, places["kernel"]: kernel}
    extra = {}
    for name, array in (("bias", bias), ("scale", scale)):
        extra[name] = None if array is None else single(array.shape)
        if array is not None:
            given[extra[name]] = array
    y = local((problem.out_height, problem.out_width, problem.filters))
    im2col.conv2d_im2col(calls, problem, LayerOperands(**places, y=y, **extra, relu=relu))
    return run(calls, len(x), given)[y].reshape(len(x), *outputs(problem, 1).shape[1:])


def dx(problem, dy, kernel):
    calls, of_dy, of_kernel = Calls(IMAGES), local(dy.shape[1:]), single(kernel.shape)
    out = local((problem.height, problem.width, problem.channels))
    im2col.conv2d_im2col_dx(calls, problem, of_dy, of_kernel, out)
    return run(calls, len(dy), {of_dy: dy, of_kernel: kernel})[out].reshape(
        image(problem, len(dy)).shape
    )


def dw(problem, x, dy):
    calls, of_x, of_dy = Calls(IMAGES), local(x.shape[1:]), local(dy.shape[1:])
    gradient = single(weights(problem).shape)
    im2col.conv2d_im2col_dw(calls, problem, of_x, of_dy, gradient)
    return run(calls, len(x), {of_x: x, of_dy: dy})[gradient].reshape(weights(problem).shape)


def test_forward(problem):
    x, kernel = image(problem), weights(problem)
    expected = reference.conv2d(x.astype(float), kernel.astype(float), *settings(problem))
    assert_close(forward(problem, x, kernel), expected, "sum", "y")


def test_dx(problem):
    dy, kernel = outputs(problem), weights(problem)
    expected = backward(problem, dy, image(problem), kernel)[0]
    assert_close(dx(problem, dy, kernel), expected, "sum", "dx")


def test_dw(problem):
    x, dy = image(problem), outputs(problem)
    expected = backward(problem, dy, x, weights(problem))[1]
    assert_close(dw(problem, x, dy), expected, "sum", "dw")


def test_forward_has_scale_bias_and_relu_of_its_group():
    problem = PROBLEMS["groups"]
    x, kernel = image(problem), weights(problem)
    bias, scale = numbers(problem.filters), numbers(problem.filters)
    expected = reference.conv2d(x.astype(float), kernel.astype(float), *settings(problem))
    expected = np.maximum(expected * scale + bias, 0.0)
    assert_close(forward(problem, x, kernel, bias, scale, True), expected, "sum", "y")


@pytest.mark.parametrize("name", ["groups"])
def test_k_slices_are_added_up(monkeypatch, name):
    """With one image less than would fit; each direction's sums come from three parts."""
    use(monkeypatch, 3)
    monkeypatch.setattr(f"{__name__}.IMAGES", 3)
    problem = PROBLEMS[name]
    x, dy, kernel = image(problem, 2), outputs(problem, 2), weights(problem)
    bias = numbers(problem.filters)
    y = reference.conv2d(x.astype(float), kernel.astype(float), *settings(problem)) + bias
    expected_dx, expected_dw = backward(problem, dy, x, kernel)
    assert_close(forward(problem, x, kernel, bias), y, "sum", "y")
    assert_close(dx(problem, dy, kernel), expected_dx, "sum", "dx")
    assert_close(dw(problem, x, dy), expected_dw, "sum", "dw")


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (1 << 16, Problem(256, 256, 1, 1, (3, 3))),
        (64, Problem(1024, 1024, 64, 1, (1024, 1024))),
    ],
    ids=["pixels", "images of a tile"],
)
def test_what_goes_beyond_32_bits_is_refused(images, problem):
    """More pixels in all than a kernel counts; many images of a single tile, of many floats."""
    calls, (x, kernel, y) = Calls(images), (Region(16) for _ in range(3))
    with pytest.raises(ValueError, match="Try smaller batches"):
        im2col.conv2d_im2col(calls, problem, LayerOperands(x, kernel, y))
    assert not calls.emitted
