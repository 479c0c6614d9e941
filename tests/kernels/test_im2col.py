"""im2col in both forms: where columns are awkward, what they cost, and when they are no copy.

tests/kernels/test_strategies.py holds what every strategy is tested for.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close, build, images, randomize
from test_strategies import arrays, assert_written_before_read, computed, expected, right

import fastcnn
from fastcnn import applications, functional
from fastcnn import layers as L
from fastcnn.backends.cpu import executable
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.conv import im2col
from fastcnn.kernels.cpu.conv.im2col_columns import copy_cycles
from fastcnn.strategies import DIRECTIONS, STRATEGIES, choose

BOTH = ("im2col", "im2col-blas")
PROBLEMS = {
    "stride beyond the kernel": Problem(11, 9, 5, 7, (2, 2), (3, 4)),
    "stride 2, dilation 3": Problem(14, 15, 6, 8, (3, 3), (2, 2), ((1, 2), (3, 0)), (3, 3)),
    "stride 4, dilation 2": Problem(16, 17, 3, 5, (4, 3), (4, 2), ((5, 5), (4, 4)), (2, 4)),
    "dilation along one axis": Problem(9, 9, 17, 4, (3, 3), dilation=(1, 2)),
    "padding beyond the image": Problem(2, 3, 2, 3, (3, 3), padding=((4, 5), (6, 3))),
    "depthwise": Problem(7, 8, 6, 6, (3, 3), padding=((1, 1), (1, 1)), groups=6),
    "two filters a channel": Problem(7, 8, 5, 10, (3, 2), groups=5),
    "groups of 17": Problem(6, 5, 34, 40, (3, 3), (2, 1), ((1, 1), (1, 1)), groups=2),
    "1x1 in groups": Problem(5, 6, 18, 12, (1, 1), groups=3),
    "1x1, stride 2": Problem(7, 6, 19, 5, (1, 1), (2, 2)),
    "1x1, padded": Problem(4, 4, 3, 8, (1, 1), padding=((1, 0), (0, 2))),
    "one pixel": Problem(1, 1, 1, 1, (1, 1)),
    "window of the whole image": Problem(5, 7, 4, 33, (5, 7)),
}


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("name", PROBLEMS)
def test_integers_are_exact(strategy, name):
    for batch in (1, 5):
        given = arrays(PROBLEMS[name], batch, integers=True)
        for direction in DIRECTIONS:
            np.testing.assert_array_equal(
                computed(strategy, direction, PROBLEMS[name], *given),
                right(direction, PROBLEMS[name], batch, integers=True),
                f"{direction}, batch {batch}",
            )


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("name", PROBLEMS)
def test_against_the_reference(strategy, name):
    given = arrays(PROBLEMS[name], 5)
    for direction in DIRECTIONS:
        found = computed(strategy, direction, PROBLEMS[name], *given)
        assert_close(found, right(direction, PROBLEMS[name], 5), "sum", direction)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
def test_bias_relu_and_a_folded_normalization(strategy, groups, batch):
    """At inference all three come with the product."""
    layers = [
        L.Conv2D(21, 3, padding="same", groups=groups, strategy=strategy),
        L.BatchNormalization(),
        L.ReLU(),
    ]
    model = build((7, 6, 12), layers)
    x = images(batch, (7, 6, 12))
    kernel, bias, gamma, beta, mean, variance = (p.value.astype(float) for p in model.parameters)
    y = reference.conv2d(x.astype(float), kernel, padding="same", groups=groups) + bias
    y = (y - mean) / np.sqrt(variance + layers[1].epsilon) * gamma + beta
    assert_close(model.predict(x), np.maximum(y, 0), "chain", "output")


@pytest.mark.parametrize("near", [1, 3000, 50000])
def test_the_kernels_gradient_in_passes(near, monkeypatch):
    """Passes of one row of pixels, of some with a rest, and of all: the same sums."""
    monkeypatch.setattr(im2col, "NEAR", near)
    problem = Problem(6, 7, 5, 9, (3, 3))
    given = arrays(problem, 3, integers=True)
    found = computed("im2col", "dw", problem, *given)
    np.testing.assert_array_equal(found, expected("dw", problem, *given))


def calls_of(monkeypatch, strategy, direction, problem):
    """The names of the kernels that a convolution calls, and the convolution."""
    calls = []

    class Noted(executable.Executable):
        def __init__(self, made, *others):
            calls.extend(call.kernel.name for call in made)
            super().__init__(made, *others)

    monkeypatch.setattr(functional, "Executable", Noted)
    x, kernel, _, dy = arrays(problem, 2)
    first, second = {"forward": (x, kernel), "dx": (dy, kernel), "dw": (x, dy)}[direction]
    return calls, Convolution(strategy, direction, problem, first, second)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_1x1_needs_no_columns(strategy, direction, monkeypatch):
    copies = {"image_to_columns", "columns_to_sums"}
    calls, plain = calls_of(monkeypatch, strategy, direction, Problem(8, 8, 16, 16, (1, 1)))
    assert not copies & set(calls)
    calls, strided = calls_of(
        monkeypatch, strategy, direction, Problem(15, 15, 16, 16, (1, 1), (2, 2))
    )
    assert len(copies & set(calls)) == 1
    columns = 4 * 8 * 8 * 16  # bytes of one image, on each of two threads
    assert strided.workspace - plain.workspace >= 2 * columns


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_memory_is_written_before_it_is_read(strategy, direction, monkeypatch):
    problem = PROBLEMS["stride 2, dilation 3"]
    assert_written_before_read(strategy, direction, problem, monkeypatch)


def test_a_single_image_is_shared_out():
    """One that is large enough for its product to be split: the same bits for any threads."""
    model = build((40, 40, 16), [L.Conv2D(64, 3, strategy="im2col", activation="relu")])
    randomize(model)
    x = images(1, (40, 40, 16))
    results = []
    for threads in (1, 2, 3):
        fastcnn.set_num_threads(threads)
        results.append(model.predict(x))
    fastcnn.set_num_threads(2)
    kernel, bias = (p.value.astype(float) for p in model.parameters)
    y = reference.conv2d(x.astype(float), kernel) + bias
    assert_close(results[0], np.maximum(y, 0), "sum", "output")
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize(
    "net",
    [applications.lenet5, applications.cifar_small, applications.resnet20, applications.vgg16],
)
def test_auto_needs_no_columns_and_no_library_for_usual_networks(net):
    """By the estimates alone, for a batch and for one image."""
    problems = {
        op.attributes["problem"]
        for op in net().program(training=False).ops
        if op.kind.startswith("conv2d")
    }
    assert problems
    for problem in problems:
        for direction in DIRECTIONS:
            for batch in (1, 32):
                assert choose(direction, problem, batch).name not in (*BOTH, "fft"), problem


def test_estimates():
    """The library's call is paid for each image; the copies come on top of the same product."""
    small, plain = Problem(5, 5, 8, 8, (3, 3)), Problem(28, 28, 256, 64, (1, 1))
    for direction in DIRECTIONS:
        own, blas, direct = (STRATEGIES[n].cycles for n in ("im2col", "im2col-blas", "direct"))
        assert blas(direction, small, 8) > 10 * own(direction, small, 8)
        assert own(direction, small, 8) > copy_cycles(direction, small) > 0
        assert own(direction, plain, 8) == pytest.approx(direct(direction, plain, 8), rel=0.01)
