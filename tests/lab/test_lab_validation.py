"""The lab checks before it times: its reference, and what it says of wrong strategies."""

from __future__ import annotations

import numpy as np
import pytest
from test_strategies import PROBLEMS, arrays

from fastcnn.kernels.reference import (
    conv2d_direct,
    conv2d_direct_dw,
    conv2d_direct_dx,
    numpy64,
)
from fastcnn.lab.measure.validation import EXACT, Examiner
from fastcnn.lab.problems import sets
from fastcnn.strategies import DIRECTIONS, STRATEGIES

DIRECT = STRATEGIES["direct"]


# Those that plain Python computes in time; tests/kernels/test_reference.py has the larger ones.
SMALL = {name: problem for name, problem in PROBLEMS.items() if problem.multiply_adds < 20_000}
SMALL["depthwise"] = sets.named("g6mb1ic6ih5oc6kh3ph1")[0].problem


def by_loops(direction, problem, x, kernel, dy):
    """One direction by the loops of the definition, group by group, in float64."""
    window = problem.strides, problem.padding, problem.dilation
    parts = []
    for g in range(problem.groups):
        inner, outputs = problem.channels_per_group, problem.filters_per_group
        ins, outs = slice(g * inner, (g + 1) * inner), slice(g * outputs, (g + 1) * outputs)
        function, *arguments = {
            "forward": (conv2d_direct, x[..., ins], kernel[..., outs]),
            "dx": (conv2d_direct_dx, dy[..., outs], kernel[..., outs], x.shape[1:3]),
            "dw": (conv2d_direct_dw, x[..., ins], dy[..., outs], problem.kernel),
        }[direction]
        parts.append(function.py_func(*arguments, *window))
    return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", SMALL)
def test_the_labs_reference_is_the_definition(name, direction):
    """Both in float64: tap by tap as matrix products, and number by number."""
    problem = SMALL[name]
    x, kernel, _, dy = arrays(problem, 2)
    right = by_loops(direction, problem, x, kernel, dy)
    first, second = {"forward": (x, kernel), "dx": (dy, kernel), "dw": (x, dy)}[direction]
    computed = numpy64.compute(direction, problem, first, second)
    np.testing.assert_allclose(computed, right, rtol=0, atol=1e-12 * np.abs(right).max())


@pytest.mark.parametrize("name", ["3x3 same", "dilated groups", "1x1"])
def test_right_strategies_pass(name):
    for direction in DIRECTIONS:
        examiner = Examiner(direction, PROBLEMS[name], 8)
        for strategy, one in STRATEGIES.items():
            if one.declines(direction, PROBLEMS[name]) is None:
                finding = examiner.examine(strategy)
                assert finding.wrong is None
                assert 0 < finding.error <= one.error


def spoiled(monkeypatch, strategy, image):
    """Have one image's result be wrong, of the batches that have it."""
    result = Examiner._result

    def spoil(self, name, example):
        computed = result(self, name, example)
        computed[image : image + 1] += 1
        return computed

    monkeypatch.setattr(Examiner, "_result", spoil)


@pytest.mark.parametrize("strategy", ["direct", "winograd"])
def test_every_image_that_is_timed_is_checked(monkeypatch, strategy):
    problem = PROBLEMS["3x3 same"]
    for direction in ("forward", "dx"):
        with monkeypatch.context() as patch:
            spoiled(patch, strategy, 16)
            assert Examiner(direction, problem, 16).examine(strategy).wrong is None
            wrong = Examiner(direction, problem, 17).examine(strategy).wrong
            assert ("the first at (16, 0" if strategy == "direct" else "its error is") in wrong


@pytest.mark.parametrize("images", [1, 2, 3, 4, 32])
def test_gradients_of_kernels_are_checked_for_all_images(monkeypatch, images):
    problem, computed = PROBLEMS["3x3 same"], []
    result = Examiner._result

    def noted(self, name, example):
        computed.append(len(example.first))
        assert len(example.first) == len(example.second)
        return result(self, name, example)

    monkeypatch.setattr(Examiner, "_result", noted)
    assert Examiner("dw", problem, images).examine("direct").wrong is None
    assert set(computed) == {images}


def test_exact_ones_are_checked_on_integers(monkeypatch):
    """An error far below what is stated still shows: Winograd's fractions in place of sums."""
    assert set(EXACT) & set(STRATEGIES)
    problem = PROBLEMS["3x3 same"]
    monkeypatch.setitem(STRATEGIES, "direct", STRATEGIES["winograd"]._replace(error=1.0))
    finding = Examiner("forward", problem, 2).examine("direct")
    assert "numbers are not exact on integers, the first at (0, " in finding.wrong
    assert finding.error is None


def test_what_fails_or_is_not_finite_is_wrong(monkeypatch):
    def failing(*arguments, **options):
        raise RuntimeError("lost")

    def nothing(calls, problem, x, kernel, bias, y, relu=False, scale=None):
        DIRECT.forward(calls, problem, x, kernel, bias, y, relu, scale)

    monkeypatch.setitem(STRATEGIES, "winograd", DIRECT._replace(forward=failing))
    examiner = Examiner("forward", PROBLEMS["1x1"], 2)
    assert examiner.examine("winograd").wrong == "it raised RuntimeError: lost"
    monkeypatch.setitem(STRATEGIES, "winograd", DIRECT._replace(forward=nothing))
    monkeypatch.setattr(
        Examiner, "_result", lambda self, name, example: np.full_like(example.right, np.nan)
    )
    assert examiner.examine("winograd") == (None, "its result is not finite")
