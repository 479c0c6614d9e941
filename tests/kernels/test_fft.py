"""Convolution by Fourier transforms: sizes, what it declines, its error, its estimate.

tests/kernels/test_strategies.py holds what every strategy is tested for.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
import reference
from building import assert_close, build, images
from test_strategies import arrays, assert_written_before_read, computed, expected

from fastcnn import layers as L
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.conv.fft2d import good_size
from fastcnn.strategies import DIRECTIONS, STRATEGIES, choose

FFT = STRATEGIES["fft"]
PROBLEMS = {
    "one pixel": Problem(1, 1, 1, 1, (1, 1)),
    "1x1": Problem(5, 6, 7, 3, (1, 1)),
    "odd sizes, uneven padding": Problem(11, 13, 3, 5, (5, 4), padding=((3, 0), (1, 2))),
    "kernel larger than the image": Problem(4, 3, 5, 6, (9, 8), padding=((4, 6), (5, 5))),
    "window of the whole image": Problem(9, 14, 2, 33, (9, 14)),
    "a row": Problem(1, 23, 4, 4, (1, 7), padding=((0, 0), (3, 3))),
    "a column": Problem(23, 1, 4, 4, (7, 1)),
    "one channel and filter": Problem(17, 17, 1, 1, (11, 11), padding=((5, 5), (5, 5))),
    "more pairs than a part": Problem(6, 6, 40, 41, (3, 3)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_against_the_reference(name):
    for batch in (1, 5):
        given = arrays(PROBLEMS[name], batch)
        for direction in DIRECTIONS:
            found = computed("fft", direction, PROBLEMS[name], *given)
            right = expected(direction, PROBLEMS[name], *given)
            assert_close(found, right, "sum", f"{direction}, batch {batch}")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_stated_error_holds_for_long_sums(direction):
    """Sums of 15488 products, of numbers that do not cancel too. Measured: up to 0.8e-6."""
    problem = Problem(20, 20, 128, 24, (11, 11))
    for shift in (0, 1):
        given = [array + shift for array in arrays(problem, 3)]
        right = expected(direction, problem, *given)
        error = np.abs(computed("fft", direction, problem, *given) - right).max()
        assert error <= FFT.error * np.abs(right).max()


@pytest.mark.parametrize("batch", [1, 4])
def test_bias_relu_and_a_folded_normalization(batch):
    """At inference all three come with the way back."""
    layers = [L.Conv2D(21, 5, padding="same", strategy="fft"), L.BatchNormalization(), L.ReLU()]
    model = build((9, 8, 6), layers)
    x = images(batch, (9, 8, 6))
    kernel, bias, gamma, beta, mean, variance = (p.value.astype(float) for p in model.parameters)
    y = reference.conv2d(x.astype(float), kernel, padding="same") + bias
    y = (y - mean) / np.sqrt(variance + layers[1].epsilon) * gamma + beta
    assert_close(model.predict(x), np.maximum(y, 0), "chain", "output")


def test_the_kernel_is_transformed_once_while_the_weights_stay(monkeypatch):
    model = build((9, 8, 6), [L.Conv2D(4, 5, strategy="fft")])
    transform, shapes = np.fft.rfft2, []

    def noted(image, *arguments, **options):
        shapes.append(image.shape)
        return transform(image, *arguments, **options)

    monkeypatch.setattr(np.fft, "rfft2", noted)
    x, kernel = images(3, (9, 8, 6)), (5, 5, 6 * 4)
    for _ in range(3):
        model.predict(x)
    assert shapes.count(kernel) == 1
    assert len(shapes) == 1 + 3 * 3
    before = model.predict(x)
    model.set_weights([2 * weight for weight in model.get_weights()])
    after = model.predict(x)
    assert shapes.count(kernel) == 2
    np.testing.assert_array_equal(after, 2 * before)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_memory_is_written_before_it_is_read(direction, monkeypatch):
    problem = PROBLEMS["odd sizes, uneven padding"]
    assert_written_before_read("fft", direction, problem, monkeypatch)


def test_good_sizes():
    sizes = {1: 2, 2: 2, 3: 4, 11: 12, 13: 14, 22: 24, 26: 28, 43: 48, 121: 126, 1025: 1050}
    assert {least: good_size(least) for least in sizes} == sizes


PLAIN = Problem(32, 32, 64, 64, (9, 9))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"strides": (2, 1)}, r"has strides of 1, not \(2, 1\)"),
        ({"dilation": (1, 3)}, r"has a dilation of 1, not \(1, 3\)"),
        ({"groups": 4}, "has one group, not 4"),
        ({"channels": 2048, "filters": 2048}, "would take 17408 MiB, more than 1024"),
    ],
)
def test_what_it_declines(change, reason):
    problem = replace(PLAIN, **change)
    for direction in DIRECTIONS:
        with pytest.raises(ValueError, match=f"'fft' cannot compute {direction}: .*{reason}"):
            computed("fft", direction, problem, [], [], [], [])
        assert choose(direction, problem, 8).name != "fft"
    assert FFT.declines("forward", PLAIN) is None


def test_auto_takes_it_for_large_kernels_and_batches_alone():
    for direction in DIRECTIONS:
        assert choose(direction, Problem(32, 32, 128, 128, (9, 9)), 64).name == "fft"
        assert choose(direction, Problem(14, 14, 6, 16, (5, 5)), 64).name != "fft"


def test_auto_does_not_take_much_memory_unasked():
    """2.2 GB for a batch of 2048; the kernel's transform alone would do."""
    problem = Problem(32, 32, 128, 128, (9, 9))
    assert FFT.declines("forward", problem) is None
    assert FFT.cycles("forward", problem, 2048) == inf
    assert choose("forward", problem, 2048).name == "direct"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_nothing_reaches_is_exactly_zero(direction):
    """The background of a picture and what a gradient does not reach, as if summed tap by tap."""
    problem = Problem(32, 32, 3, 8, (5, 5), padding=((2, 2), (2, 2)))
    x, kernel, bias, dy = arrays(problem, 4)
    x[:, 10:], bias[:], dy[:, 10:], dy[..., :2] = 0, 0, 0, 0
    found = computed("fft", direction, problem, x, kernel, bias, dy)
    right = expected(direction, problem, x, kernel, bias, dy)
    assert (right == 0).any() and not found[right == 0].any()
    assert np.abs(found - right).max() <= FFT.error * np.abs(right).max()


def test_the_bias_gradient_of_a_background():
    """Noise of 1e-8 that passes the ReLU would count every pixel of it."""
    x = np.zeros((4, 32, 32, 1), np.float32)
    x[:, 4:10, 4:10] = images(4, (6, 6, 1))
    found = []
    for strategy in ("direct", "fft"):
        layers = [L.Conv2D(4, 5, padding="same", activation="relu", strategy=strategy), L.Flatten()]
        model = build((32, 32, 1), layers)
        model.parameters[1].value[...] = 0
        found.append(model.gradients(x, np.ones((4, 4096), np.float32))[1]["conv2d/bias"])
    assert_close(found[1], found[0], "chain", "bias")
