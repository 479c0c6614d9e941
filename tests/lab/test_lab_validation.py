"""The lab checks before it times: its reference, and what it says of wrong strategies."""

from __future__ import annotations

import numpy as np
import pytest
import reference as slow
from test_strategies import PROBLEMS, arrays, expected

from fastcnn.kernels.reference import numpy64
from fastcnn.lab.measure.validation import EXACT, Examiner
from fastcnn.lab.problems import sets
from fastcnn.strategies import DIRECTIONS, STRATEGIES

DIRECT = STRATEGIES["direct"]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_labs_reference_is_the_tests_own(name, direction):
    """Both in float64, but written by different people's methods."""
    x, kernel, bias, dy = arrays(PROBLEMS[name], 2)
    right = expected(direction, PROBLEMS[name], x, kernel, 0 * bias, dy)
    first, second = {"forward": (x, kernel), "dx": (dy, kernel), "dw": (x, dy)}[direction]
    found = numpy64.compute(direction, PROBLEMS[name], first, second)
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-12 * np.abs(right).max())


def test_the_labs_reference_of_a_depthwise_convolution():
    problem = sets.named("g6mb1ic6ih5oc6kh3ph1")[0].problem
    x, kernel, _, dy = arrays(problem, 2)
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    np.testing.assert_allclose(
        numpy64.forward(problem, x, kernel), slow.conv2d(x, kernel, *settings), atol=1e-12
    )
    dx, dw = slow.conv2d_backward(dy, x, kernel, *settings)
    np.testing.assert_allclose(numpy64.dx(problem, dy, kernel), dx, atol=1e-12)
    np.testing.assert_allclose(numpy64.dw(problem, x, dy), dw, atol=1e-12)


@pytest.mark.parametrize("name", ["3x3 same", "dilated groups", "1x1"])
def test_right_strategies_pass(name):
    for direction in DIRECTIONS:
        examiner = Examiner(direction, PROBLEMS[name], 8)
        for strategy, one in STRATEGIES.items():
            if one.declines(direction, PROBLEMS[name]) is None:
                finding = examiner.examine(strategy)
                assert finding.wrong is None
                assert 0 < finding.error <= one.error


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
