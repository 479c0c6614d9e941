"""Direct convolution on CUDA, in all directions, against float64."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from running import local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands
from fastcnn.kernels.cuda.conv import (
    STRATEGIES,
    direct,
    direct_tile_selection,
    direct_weight_gradient,
)
from fastcnn.kernels.cuda.conv.direct_tile_selection import KERNELS

SAME = ((1, 1), (1, 1))
# Sides unlike each other, tiles that end within rows and within images, one channel and one filter,
# more channels than a slice, filters that vectors of four divide and not.
PROBLEMS = {
    "3x3": Problem(4, 5, 3, 5, (3, 3), padding=SAME),
    "3x3, strided": Problem(5, 5, 2, 4, (3, 3), (2, 1), padding=((1, 1), (0, 1))),
    "5x5, one channel": Problem(4, 5, 1, 6, (5, 5), padding=((2, 2), (2, 1))),
    "one filter": Problem(3, 4, 10, 1, (3, 3), (2, 1), padding=((1, 1), (0, 0))),
    "everything": Problem(5, 4, 4, 6, (3, 2), (2, 1), ((2, 0), (1, 3)), (1, 2), groups=2),
    "one tap, strided": Problem(5, 4, 5, 20, (1, 1), (2, 1), padding=((1, 0), (0, 0))),
    "pixels that no output reaches": Problem(3, 3, 2, 3, (1, 2), (2, 3)),
}
ROUNDS = {"relu": {"relu": True}, "plain": {}, "scaled": {"relu": True, "scaled": True}}
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


class Numbers:
    """Random operands of a problem and its results in float64."""

    def __init__(self, problem: Problem, images: int = 2):
        rng = np.random.default_rng(0)

        def draw(*shape):
            return rng.standard_normal(shape).astype(np.float32)

        self.problem, self.images = problem, images
        self.x = draw(images, problem.height, problem.width, problem.channels)
        self.kernel = draw(*problem.kernel, problem.channels_per_group, problem.filters)
        self.dy = draw(images, problem.out_height, problem.out_width, problem.filters)
        self.bias, self.factors = draw(problem.filters), draw(problem.filters)
        x, kernel, dy = (array.astype(float) for array in (self.x, self.kernel, self.dy))
        settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
        self.y = reference.conv2d(x, kernel, *settings)
        self.dx, self.dw = reference.conv2d_backward(dy, x, kernel, *settings)

    def forward(self, relu=False, scaled=False, bias=True):
        """(received, expected)"""
        x, kernel, y = local(self.x.shape[1:]), single(self.kernel.shape), local(self.y.shape[1:])
        plus, times = single(self.bias.shape), single(self.bias.shape)
        calls = Calls(self.images)
        direct.conv2d_direct(
            calls,
            self.problem,
            LayerOperands(x, kernel, y, plus if bias else None, times if scaled else None, relu),
        )
        given = {x: self.x, kernel: self.kernel, plus: self.bias, times: self.factors}
        expected = self.y * self.factors if scaled else self.y
        expected = expected + self.bias if bias else expected
        expected = np.maximum(expected, 0.0) if relu else expected
        return run(calls, self.images, given)[y].reshape(expected.shape), expected

    def input_gradient(self):
        dy, kernel, out = (
            local(self.dy.shape[1:]),
            single(self.kernel.shape),
            local(self.x.shape[1:]),
        )
        calls = Calls(self.images)
        direct.conv2d_direct_dx(calls, self.problem, dy, kernel, out)
        memory = run(calls, self.images, {dy: self.dy, kernel: self.kernel})
        return memory[out].reshape(self.x.shape), self.dx

    def kernel_gradient(self):
        x, dy, out = local(self.x.shape[1:]), local(self.dy.shape[1:]), single(self.kernel.shape)
        calls = Calls(self.images)
        direct.conv2d_direct_dw(calls, self.problem, x, dy, out)
        memory = run(calls, self.images, {x: self.x, dy: self.dy})
        return memory[out].reshape(self.dw.shape), self.dw


@each_problem
def test_forward(problem):
    assert_close(*Numbers(problem).forward(), "sum", "y")


@pytest.mark.parametrize("settings", ROUNDS.values(), ids=ROUNDS)
def test_what_follows_the_sums(settings):
    problem = Problem(4, 3, 2, 4, (2, 2))
    assert_close(*Numbers(problem).forward(**settings, bias="relu" not in settings), "sum", "y")


@each_problem
def test_gradient_of_the_input(problem):
    assert_close(*Numbers(problem).input_gradient(), "sum", "dx")


@each_problem
def test_gradient_of_the_kernel(problem):
    assert_close(*Numbers(problem).kernel_gradient(), "sum", "dw")


@pytest.mark.parametrize("tile", KERNELS, ids=lambda tile: tile.name)
def test_every_tile(tile, monkeypatch):
    monkeypatch.setattr(direct_tile_selection, "TILES", (tile,))
    direct_tile_selection.plan.cache_clear()
    stride, taps = tile.stride_w or 3, tile.taps_w or 4
    # A run and a bit of one, and filters on both sides of a thread's two parts.
    width = tile.run * stride + taps
    problem = Problem(2, width, 2, tile.filters // 2 + 3, (2, taps), (1, stride))
    received, expected = Numbers(problem).forward()
    direct_tile_selection.plan.cache_clear()
    assert_close(received, expected, "sum", "y")


@pytest.mark.parametrize("tile", direct_weight_gradient.TILES, ids=lambda tile: tile.name)
def test_every_tile_of_the_gradient_and_k_slices(tile, monkeypatch):
    monkeypatch.setattr(direct_weight_gradient, "TILES", (tile,))
    monkeypatch.setattr(direct_weight_gradient, "K_SLICES", (2,))
    direct_weight_gradient.plan.cache_clear()
    problem = Problem(2, 9, 5, tile.filters // 2 + 3, (1, 2), (1, 2))
    received, expected = Numbers(problem).kernel_gradient()
    direct_weight_gradient.plan.cache_clear()
    assert_close(received, expected, "sum", "dw")


def test_a_reach_beyond_shared_memory(monkeypatch):
    """A thread for each sum, for the rare kernel whose pixels do not fit; here, for any."""
    monkeypatch.setattr(direct, "plan", lambda *_: None)
    monkeypatch.setattr(direct_weight_gradient, "plan", lambda *_: None)
    numbers = Numbers(PROBLEMS["everything"])
    for received, expected in (
        numbers.forward(relu=True, scaled=True),
        numbers.input_gradient(),
        numbers.kernel_gradient(),
    ):
        assert_close(received, expected, "sum", "result")


def test_the_widest_reach_has_no_tile():
    wide = Problem(80, 80, 1, 1, (30, 30), dilation=(2, 2))
    calls = Calls(1)
    x, kernel, y = local((80, 80, 1)), single((30, 30, 1, 1)), local((22, 22, 1))
    direct.conv2d_direct(calls, wide, LayerOperands(x, kernel, y))
    direct.conv2d_direct_dw(calls, wide, x, y, kernel)
    assert [call.kernel.name for call in calls.emitted] == ["direct_plain", "direct_plain_gradient"]
    assert direct.cycles("forward", wide, 1) > 0 and direct.cycles("dw", wide, 1) > 0


def test_fewer_images_than_the_largest_batch():
    numbers = Numbers(PROBLEMS["3x3"])
    x, dy = local(numbers.x.shape[1:]), local(numbers.dy.shape[1:])
    out = single(numbers.kernel.shape)
    calls = Calls(5)
    direct.conv2d_direct_dw(calls, numbers.problem, x, dy, out)
    memory = run(calls, 2, {x: numbers.x, dy: numbers.dy})
    assert_close(memory[out].reshape(numbers.dw.shape), numbers.dw, "sum", "dw")


@pytest.mark.parametrize("direction", ["forward", "dx", "dw"])
def test_estimates_grow_with_the_batch_and_fall_for_each_image(direction):
    problem = Problem(14, 14, 256, 256, (3, 3), padding=SAME)
    one, many = (direct.cycles(direction, problem, images) for images in (1, 64))
    assert one < 64 * many < 64 * one
    # No faster than the card's multiply-adds.
    assert many > problem.multiply_adds / 30_000
    assert STRATEGIES["direct"].declines(direction, problem) is None
