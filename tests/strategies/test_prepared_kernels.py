"""What a strategy makes of a kernel counts once a batch, or not at all where the weights stay."""

from __future__ import annotations

import pytest

import fastcnn
from fastcnn import strategies
from fastcnn.graph.problem import Problem
from fastcnn.layers import Conv2D


@pytest.mark.parametrize("name", ["winograd", "winograd-2x2", "fft"])
@pytest.mark.parametrize("direction", ["forward", "dx"])
def test_a_kernel_that_stays_is_prepared_once(name, direction):
    problem = Problem(15, 15, 32, 64, (3, 3), padding=((1, 1), (1, 1)))
    strategy = strategies.STRATEGIES[name]
    for images in (1, 8):
        every, once = (
            strategy.cost(direction, problem, images, prepared=prepared)
            for prepared in (False, True)
        )
        assert every - once == pytest.approx(strategy.preparation(direction, problem) / images)
        assert 0 < once < every


def test_inference_counts_on_kernels_that_stay():
    """At inference a plan's choice is that of prepared kernels; in training it is not."""
    layer = Conv2D(32, 3, padding="same", use_bias=False)
    model = fastcnn.Sequential([layer], (16, 16, 32), device="cpu")
    for training in (False, True):
        (chosen, *_) = strategies.program_choices(model.program(training=training, images=1))
        expected = strategies.choose("forward", chosen.problem, 1, prepared=not training)
        assert (chosen.strategy, chosen.why) == expected
