"""The definitions in kernels/reference against float64 NumPy, and as strategies."""

from __future__ import annotations

import inspect
import pydoc
import re

import numpy as np
import pytest
import reference as numpy64
from test_strategies import PROBLEMS, arrays

import fastcnn
from fastcnn import layers as L
from fastcnn import strategies
from fastcnn.graph.problem import Problem
from fastcnn.kernels import reference
from fastcnn.kernels.reference import conv2d_matmul
from fastcnn.strategies import STRATEGIES

NAMES = ("reference", "reference-im2col")
ONE_GROUP = {name: problem for name, problem in PROBLEMS.items() if problem.groups == 1}
POOLS = {
    "2x2": Problem(6, 4, 3, 3, (2, 2), (2, 2)),
    "overlapping": Problem(7, 6, 2, 2, (3, 3), (2, 2)),
    "apart": Problem(7, 8, 2, 2, (2, 1), (3, 4)),
    "padded": Problem(5, 6, 3, 3, (3, 2), (2, 1), ((1, 1), (0, 1))),
    "whole": Problem(4, 3, 5, 5, (4, 3), (4, 3)),
}
# Functions with loops of their own; the others call these.
LOOPS = [name for name in reference.__all__ if not name.startswith("conv2d_im2col")]
each_pool = pytest.mark.parametrize("problem", POOLS.values(), ids=POOLS)


def window(problem):
    return problem.strides, problem.padding, problem.dilation


@pytest.mark.parametrize("form", ["direct", "im2col"])
@pytest.mark.parametrize("name", ONE_GROUP)
def test_convolution_and_its_gradients(form, name):
    problem = ONE_GROUP[name]
    x, kernel, _, dy = arrays(problem, 2)
    forward, dx, dw = (getattr(reference, f"conv2d_{form}{end}") for end in ("", "_dx", "_dw"))
    if form == "im2col":
        # Without loops of their own. What they call is compiled into them once more, which takes
        # as long again; as the strategy "reference-im2col" they are compiled.
        forward, dx, dw = forward.py_func, dx.py_func, dw.py_func
    size = problem.height, problem.width
    expected = numpy64.conv2d_backward(dy, x, kernel, *window(problem))
    np.testing.assert_allclose(
        forward(x, kernel, *window(problem)), numpy64.conv2d(x, kernel, *window(problem)), atol=1e-9
    )
    np.testing.assert_allclose(dx(dy, kernel, size, *window(problem)), expected[0], atol=1e-9)
    found = dw(x, dy, problem.kernel, *window(problem))
    np.testing.assert_allclose(found, expected[1], atol=1e-9)


@pytest.mark.parametrize(
    "compiled",
    [False, pytest.param(True, marks=pytest.mark.exhaustive)],
    ids=["python", "compiled"],
)
def test_a_convolution_takes_its_defaults_and_keeps_the_type(compiled, monkeypatch):
    """As Python runs it; to compile it for other types takes ten seconds."""
    if not compiled:
        monkeypatch.setattr(conv2d_matmul, "im2col", reference.im2col.py_func)
    x, kernel = np.ones((2, 4, 5, 3), np.float32), np.ones((2, 2, 3, 6), np.float32)
    for convolve in (reference.conv2d_direct, reference.conv2d_im2col):
        y = (convolve if compiled else convolve.py_func)(x, kernel)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, np.full((2, 3, 4, 6), 12))


def test_whole_numbers_times_real_ones_are_real(monkeypatch):
    """As a decoder's images in uint8 are; the result was cut to whole numbers once."""
    for name in ("im2col", "matmul"):
        monkeypatch.setattr(conv2d_matmul, name, getattr(reference, name).py_func)
    x, half = np.full((1, 3, 2, 1), 255, np.uint8), np.full((2, 2, 1, 1), 0.5, np.float32)
    steps = np.arange(6, dtype=np.uint8).reshape(1, 3, 2, 1)
    results = [
        reference.conv2d_direct.py_func(x, half),
        reference.conv2d_im2col.py_func(x, half),
        reference.conv2d_direct_dw.py_func(x, np.full((1, 3, 1, 1), 0.5, np.float32), (1, 2)),
        reference.average_pool2d.py_func(steps, (1, 2), (1, 2)),
        reference.max_pool2d_dx.py_func(x, half[:, :1].reshape(1, 2, 1, 1), (2, 2), (1, 1)),
    ]
    assert [result.dtype for result in results] == [np.float32] * 5
    assert [result.max() for result in results] == [510, 510, 382.5, 4.5, 0.5]


def test_windows_of_im2col_and_their_sums():
    problem = PROBLEMS["strided, uneven padding"]
    x = arrays(problem, 2)[0]
    padded = numpy64.pad(x, problem.padding)
    windows = reference.im2col(x, problem.kernel, *window(problem))
    for a, b, index in numpy64.positions(padded, problem.kernel, problem.strides):
        np.testing.assert_array_equal(windows[:, :, :, a, b], padded[index])
    size = problem.height, problem.width
    counts = reference.col2im(np.ones_like(windows), size, *window(problem))
    sums = reference.col2im(windows, size, *window(problem))
    np.testing.assert_allclose(sums, counts * x, atol=1e-12)


@each_pool
def test_max_pooling_and_its_gradient(problem):
    generator = np.random.default_rng(0)
    # Small integers: ties occur.
    x = generator.integers(-3, 3, (2, problem.height, problem.width, problem.channels)) * 1.0
    y = reference.max_pool2d(x, *arguments(problem))
    np.testing.assert_array_equal(y, numpy64.max_pool(x, *arguments(problem)))
    dy = generator.standard_normal(y.shape)
    expected = numpy64.max_pool_backward(dy, x, *arguments(problem))
    np.testing.assert_allclose(
        reference.max_pool2d_dx(x, dy, *arguments(problem)), expected, atol=1e-12
    )


@each_pool
@pytest.mark.parametrize("counted", [False, True])
def test_average_pooling_and_its_gradient(problem, counted):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2, problem.height, problem.width, problem.channels))
    edge = problem.padding if counted else ((0, 0), (0, 0))
    y = reference.average_pool2d(x, *arguments(problem), edge)
    options = {"include_pad": counted}
    expected = numpy64.average_pool(x, *arguments(problem), **options)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy = generator.standard_normal(y.shape)
    expected = numpy64.average_pool_backward(dy, x, *arguments(problem), **options)
    size = problem.height, problem.width
    np.testing.assert_allclose(
        reference.average_pool2d_dx(dy, size, *arguments(problem), edge), expected, atol=1e-12
    )


def arguments(problem):
    return problem.kernel, problem.strides, problem.padding


PLAIN = (1, 1), ((0, 0), (0, 0)), (1, 1)  # strides, padding, dilation
POOLED = (2, 2), (2, 2), PLAIN[1]
# What each is called with: types as above, so that nothing is compiled for this alone.
CALLS = {
    "conv2d_direct": ([(2, 4, 4, 3), (3, 3, 3, 5)], PLAIN),
    "conv2d_direct_dx": ([(2, 2, 2, 5), (3, 3, 3, 5)], ((4, 4), *PLAIN)),
    "conv2d_direct_dw": ([(2, 4, 4, 3), (2, 2, 2, 5)], ((3, 3), *PLAIN)),
    "im2col": ([(2, 4, 4, 3)], ((3, 3), *PLAIN)),
    "col2im": ([(2, 2, 2, 3, 3, 3)], ((4, 4), *PLAIN)),
    "matmul": ([(3, 4), (4, 5)], ()),
    "max_pool2d": ([(2, 4, 4, 3)], POOLED),
    "max_pool2d_dx": ([(2, 4, 4, 3), (2, 2, 2, 3)], POOLED),
    "average_pool2d": ([(2, 4, 4, 3)], (*POOLED, PLAIN[1])),
    "average_pool2d_dx": ([(2, 2, 2, 3)], ((4, 4), *POOLED, PLAIN[1])),
}


@pytest.mark.parametrize("name", LOOPS)
def test_the_loops_run_in_parallel(name):
    """A function whose `prange` became a plain loop would say nothing."""
    function, (shapes, more) = getattr(reference, name), CALLS[name]
    function(*map(np.zeros, shapes), *more)
    for overload in function.overloads.values():
        assert overload.metadata["parfor_diagnostics"].count_parfors() >= 1


@pytest.mark.parametrize(
    ("name", "words", "shapes", "more"),
    [
        ("conv2d_direct", "channels C", [(2, 4, 4, 3), (3, 3, 2, 5)], PLAIN),
        ("conv2d_direct_dx", "filters F", [(2, 2, 2, 4), (3, 3, 2, 5)], ((4, 4), *PLAIN)),
        ("conv2d_direct_dw", "images N", [(2, 4, 4, 3), (1, 2, 2, 5)], ((3, 3), *PLAIN)),
        ("matmul", "inner size K", [(3, 4), (5, 3)], ()),
        ("max_pool2d_dx", "channels C", [(2, 4, 4, 3), (2, 2, 2, 2)], POOLED),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(name, words, shapes, more):
    """In compiled code nothing else would keep a loop from reading beyond an array. No argument is
    left to its default: that would be compiled anew."""
    with pytest.raises(ValueError, match=words):
        getattr(reference, name)(*map(np.zeros, shapes), *more)


@pytest.mark.parametrize("name", reference.__all__)
def test_help_tells_all(name):
    """Sections of its own, an argument a line, and shapes; `help` shows it for compiled code."""
    function = getattr(reference, name)
    text = pydoc.plain(pydoc.render_doc(function))
    assert f"{name}(" in text
    sections = ("Args:", "Returns:", "Shape:")
    assert [section for section in sections if section in text] == list(sections)
    arguments = re.findall(r"^ {8}(\w+): ", text, re.MULTILINE)
    assert arguments[: len(inspect.signature(function.py_func).parameters)] == list(
        inspect.signature(function.py_func).parameters
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_model_trains_with_them(name):
    x = np.random.default_rng(0).random((8, 6, 6, 2), np.float32)
    losses = []
    for strategy in ("direct", name):
        model = fastcnn.Sequential(
            [L.Conv2D(4, 3, strategy=strategy, activation="relu"), L.Flatten(), L.Dense(3)],
            input_shape=(6, 6, 2),
        )
        model.compile("sgd", "mse")
        losses.append(model.fit(x, np.ones((8, 3), np.float32), epochs=2, verbose=0).history)
    np.testing.assert_allclose(losses[1]["loss"], losses[0]["loss"], rtol=1e-5)


@pytest.mark.parametrize("direction", strategies.DIRECTIONS)
def test_auto_never_takes_them(direction, monkeypatch):
    problem = PROBLEMS["3x3"]
    for name in NAMES:
        assert not STRATEGIES[name].automatic
    fast = dict.fromkeys(STRATEGIES, 1.0) | dict.fromkeys(NAMES, 1e-9)
    monkeypatch.setattr(strategies.timing_cache, "find", lambda *key: fast)
    assert strategies.choose(direction, problem, 8).name not in NAMES
