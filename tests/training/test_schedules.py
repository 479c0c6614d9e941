"""Every schedule against Keras's values or its formula; configurations; errors in words."""

from __future__ import annotations

import pytest

from fastcnn import schedules
from fastcnn.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Schedule,
    StepDecay,
    Warmup,
)
from fastcnn.utils import naming

# What Keras 3.15.1 (torch backend, float64) computes: schedule, {step: learning rate}.
KERAS = [
    (
        ExponentialDecay(0.1, 10, 0.5),
        {
            0: 0.1,
            1: 0.09330329915,
            4: 0.07578582833,
            5: 0.07071067812,
            6: 0.06597539554,
            10: 0.05,
            15: 0.03535533906,
            25: 0.01767766953,
        },
    ),
    (
        ExponentialDecay(0.1, 5, 0.5, staircase=True),
        {0: 0.1, 1: 0.1, 4: 0.1, 5: 0.05, 6: 0.05, 10: 0.025, 15: 0.0125, 25: 0.003125},
    ),
    (
        InverseTimeDecay(0.1, 10, 0.5),
        {
            0: 0.1,
            1: 0.09523809524,
            4: 0.08333333333,
            5: 0.08,
            6: 0.07692307692,
            10: 0.06666666667,
            15: 0.05714285714,
            25: 0.04444444444,
        },
    ),
    (
        InverseTimeDecay(0.1, 5, 0.5, staircase=True),
        {
            0: 0.1,
            1: 0.1,
            4: 0.1,
            5: 0.06666666667,
            6: 0.06666666667,
            10: 0.05,
            15: 0.04,
            25: 0.02857142857,
        },
    ),
    (
        PolynomialDecay(0.1, 10),
        {
            0: 0.1,
            1: 0.09001,
            4: 0.06004,
            5: 0.05005,
            6: 0.04006,
            10: 0.0001,
            15: 0.0001,
            25: 0.0001,
        },
    ),
    (
        PolynomialDecay(0.1, 10, 0.01, power=2.0),
        {0: 0.1, 1: 0.0829, 4: 0.0424, 5: 0.0325, 6: 0.0244, 10: 0.01, 15: 0.01, 25: 0.01},
    ),
    (
        PolynomialDecay(0.1, 10, 0.01, power=0.5, cycle=True),
        {
            0: 0.1,
            1: 0.09538149682,
            4: 0.07971370023,
            5: 0.07363961031,
            6: 0.06692099788,
            10: 0.01,
            15: 0.055,
            25: 0.04674234614,
        },
    ),
    (
        CosineDecay(0.1, 10),
        {
            0: 0.1,
            1: 0.09755282581,
            4: 0.06545084972,
            5: 0.05,
            6: 0.03454915028,
            10: 0,
            15: 0,
            25: 0,
        },
    ),
    (
        CosineDecay(0.1, 10, alpha=0.2),
        {
            0: 0.1,
            1: 0.09804226065,
            4: 0.07236067977,
            5: 0.06,
            6: 0.04763932023,
            10: 0.02,
            15: 0.02,
            25: 0.02,
        },
    ),
    (
        CosineDecay(0.01, 10, alpha=0.2, warmup_target=0.1, warmup_steps=5),
        {0: 0.01, 1: 0.028, 4: 0.082, 5: 0.1, 6: 0.09804226065, 10: 0.06, 15: 0.02, 25: 0.02},
    ),
    (
        PiecewiseConstantDecay([5, 10], [0.1, 0.05, 0.01]),
        {0: 0.1, 1: 0.1, 4: 0.1, 5: 0.1, 6: 0.05, 10: 0.05, 15: 0.01, 25: 0.01},
    ),
]

# By hand, from the definitions.
OWN = [
    (StepDecay(0.1, 0.5, 10), {0: 0.1, 9: 0.1, 10: 0.05, 19: 0.05, 20: 0.025}),
    (Warmup(0.1, 4), {0: 0.025, 1: 0.05, 3: 0.1, 4: 0.1, 100: 0.1}),
    (
        Warmup(StepDecay(0.1, 0.5, 10), 2),
        {0: 0.05, 1: 0.1, 2: 0.1, 11: 0.1, 12: 0.05, 22: 0.025},
    ),
]

CASES = KERAS + OWN


@pytest.mark.parametrize("schedule, rates", CASES, ids=[repr(c[0]) for c in CASES])
def test_values(schedule, rates):
    for step, rate in rates.items():
        value = schedule(step)
        assert isinstance(value, float)
        assert value == pytest.approx(rate, rel=1e-9, abs=1e-12), step


@pytest.mark.parametrize("schedule, rates", CASES, ids=[repr(c[0]) for c in CASES])
def test_configuration_round_trip(schedule, rates):
    copy = schedules.get(naming.serialize(schedule))
    assert type(copy) is type(schedule)
    assert copy.get_config() == schedule.get_config()
    assert [copy(step) for step in rates] == [schedule(step) for step in rates]


def test_a_schedule_of_ones_own():
    class Halves(Schedule):
        def __call__(self, step):
            return 0.5**step

    class Steady(Schedule):
        def __init__(self, rate):
            self.rate = rate

        def __call__(self, step):
            return self.rate

    class Forgotten(Steady):
        def __init__(self, rate, floor):
            super().__init__(rate)

    assert Warmup(Halves(), 2)(3) == 0.5 and Halves().get_config() == {}
    assert Steady.from_config(Steady(0.1).get_config())(3) == 0.1
    with pytest.raises(TypeError, match=r"must keep the argument floor as self\.floor"):
        Forgotten(0.1, 0)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: ExponentialDecay(-0.1, 10, 0.5), ValueError, "initial_learning_rate must be a"),
        (lambda: ExponentialDecay(float("nan"), 10, 0.5), ValueError, "at least 0. Received nan"),
        (lambda: CosineDecay(0.1, 0), ValueError, "CosineDecay: decay_steps .* of at least 1"),
        (lambda: CosineDecay(0.1, 2.5), TypeError, "decay_steps must be a whole number"),
        (lambda: StepDecay("0.1", 0.5, 1), TypeError, "StepDecay: initial_learning_rate"),
        (lambda: Warmup(-1.0, 5), ValueError, "Warmup: schedule must be a number above 0"),
        (lambda: PiecewiseConstantDecay([5], [1.0]), ValueError, "one more than boundaries"),
        (lambda: PiecewiseConstantDecay(None, [1.0]), TypeError, "boundaries must be a list"),
        (lambda: PiecewiseConstantDecay([5], 1.0), TypeError, "values must be a list"),
        (lambda: PiecewiseConstantDecay([5, 5], [1.0, 2.0, 3.0]), ValueError, "must increase"),
        (
            lambda: schedules.get({"class_name": "CosinDecay", "config": {}}),
            ValueError,
            "Unknown schedule 'CosinDecay'. Did you mean 'CosineDecay'",
        ),
        (lambda: schedules.get("CosineDecay"), ValueError, "CosineDecay cannot be made from {}"),
        (lambda: schedules.get(object()), TypeError, "Expected a schedule"),
    ],
)
def test_errors_in_words(make, error, words):
    with pytest.raises(error, match=words):
        make()
