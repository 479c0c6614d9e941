"""Every optimizer against trajectories of Keras; slices, vector code, configurations, errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from golden_updates import TRAJECTORIES

from fastcnn import optimizers
from fastcnn.kernels.lazy_numba import numba
from fastcnn.kernels.shared import optimizers as update
from fastcnn.kernels.shared.optimizers import UPDATE_KERNELS
from fastcnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from fastcnn.schedules import CosineDecay, PiecewiseConstantDecay, Schedule, StepDecay, Warmup
from fastcnn.utils import naming

F = np.float32
JITTED = {name: numba.njit(error_model="numpy")(f) for name, f in UPDATE_KERNELS.items()}
KERNELS = [pytest.param(UPDATE_KERNELS, id="python"), pytest.param(JITTED, id="numba")]
OPTIMIZERS = [row[0] for row in TRAJECTORIES]

# The problem of the trajectories: a quadratic whose minimum moves by 0.1 a step.
CURVATURE = np.array([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0], [-0.75, 0.5, 1.5]], F)
START = np.array([1.0, -2.0, 0.5], F)


def gradient(w, step):
    return CURVATURE @ (w - F(0.1) * F(step))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("optimizer, weights, slots", TRAJECTORIES, ids=map(repr, OPTIMIZERS))
def test_trajectory_as_keras(kernels, optimizer, weights, slots):
    w = START.copy()
    s = optimizer.new_slots(w.size)
    for step in range(12):
        kernels[optimizer.kernel](w, gradient(w, step), s, optimizer.hyper(step))
        if step + 1 in weights:
            np.testing.assert_allclose(w, weights[step + 1], rtol=2e-6, atol=2e-6)
    assert optimizer.slots == tuple(slots)
    for row, name in zip(s, slots, strict=True):
        np.testing.assert_allclose(row, slots[name], rtol=2e-6, atol=2e-6, err_msg=name)


def test_the_trajectories_reach_every_kernel():
    assert {optimizer.kernel for optimizer in OPTIMIZERS} == set(UPDATE_KERNELS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_slices_give_the_same_bits(optimizer):
    generator = np.random.default_rng(3)
    n = 1003
    w = generator.normal(size=n).astype(F)
    g = generator.normal(size=n).astype(F)
    s = optimizer.new_slots(n) + F(0.5)
    whole = (w.copy(), s.copy())
    parts = (w.copy(), s.copy())
    kernel, hyper = JITTED[optimizer.kernel], optimizer.hyper(4)
    kernel(whole[0], g, whole[1], hyper)
    for a, b in [(0, 7), (7, 8), (8, 500), (500, n)]:
        kernel(parts[0][a:b], g[a:b], parts[1][:, a:b], hyper)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1], whole[1])


@pytest.mark.parametrize("name", UPDATE_KERNELS)
def test_kernels_are_float32_vector_code(name):
    f32 = numba.float32
    kernel = numba.njit(error_model="numpy")(UPDATE_KERNELS[name])
    kernel.compile((f32[::1], f32[::1], f32[:, ::1], f32[::1]))
    (llvm,) = kernel.inspect_llvm().values()
    assert re.search(r"fmul <\d+ x float>", llvm)
    assert "fpext" not in llvm
    assert " double" not in llvm


def test_centered_rmsprop_bears_a_constant_gradient():
    # Keras takes the root of a negative variance here: v - a * a rounds below -epsilon.
    optimizer = RMSprop(centered=True)
    w, g, s = np.zeros(1, F), np.full(1, 10, F), optimizer.new_slots(1)
    for step in range(500):
        JITTED[optimizer.kernel](w, g, s, optimizer.hyper(step))
    assert np.isfinite(w).all()


def test_gradients_are_clipped():
    g = np.array([3.0, -4.0, 0.5, np.nan], F)
    numba.njit(update.clip_value)(g, F(1))
    np.testing.assert_array_equal(g, F([1.0, -1.0, 0.5, np.nan]))
    g = np.array([3.0, -4.0], F)
    numba.njit(update.scale)(g, F(0.5))
    np.testing.assert_array_equal(g, F([1.5, -2.0]))


def test_penalty_and_its_gradient():
    w, g = np.array([2.0, -3.0, 0.0], F), np.ones(3, F)
    assert numba.njit(update.penalty)(w, F(0.5), F(0.25)) == 0.5 * 5 + 0.25 * 13
    numba.njit(update.add_penalty)(w, g, F(0.5), F(0.25))
    np.testing.assert_array_equal(g, F([2.5, -1.0, 1.0]))


@pytest.mark.parametrize(
    "optimizer, config",
    [
        (SGD(), {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "name": "sgd"}),
        (
            Adam(),
            {
                "learning_rate": 0.001,
                "beta_1": 0.9,
                "beta_2": 0.999,
                "epsilon": 1e-7,
                "name": "adam",
            },
        ),
        (AdamW(), {"learning_rate": 0.001, "weight_decay": 0.004, "name": "adamw"}),
        (RMSprop(), {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "centered": False}),
        (Adagrad(), {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7}),
        (SGD(clipnorm=1.0), {"clipnorm": 1.0, "clipvalue": None, "global_clipnorm": None}),
    ],
    ids=repr,
)
def test_defaults_are_keras_s(optimizer, config):
    assert optimizer.get_config() | config == optimizer.get_config()


@pytest.mark.parametrize(
    "optimizer",
    [
        *OPTIMIZERS,
        SGD(clipvalue=0.5, name="mine"),
        Adam(global_clipnorm=2.0),
        AdamW(Warmup(CosineDecay(0.1, 50, warmup_target=0.2, warmup_steps=3), 5)),
        Adagrad(PiecewiseConstantDecay([3], [0.1, 0.2])),
    ],
    ids=repr,
)
def test_configuration_round_trip(optimizer):
    copy = optimizers.get(naming.serialize(optimizer))
    assert type(copy) is type(optimizer)
    assert copy.get_config() == optimizer.get_config()
    assert (copy.kernel, copy.slots) == (optimizer.kernel, optimizer.slots)
    for step in (0, 1, 40):
        np.testing.assert_array_equal(copy.hyper(step), optimizer.hyper(step))


def test_learning_rate_can_be_set():
    optimizer = SGD()
    optimizer.learning_rate = 0.1
    assert (optimizer.learning_rate, optimizer.learning_rate_at(7)) == (0.1, 0.1)
    assert optimizer.hyper(7)[0] == F(0.1)
    optimizer.learning_rate = np.float32(0.5)
    assert optimizer.get_config()["learning_rate"] == 0.5
    optimizer.learning_rate = StepDecay(1.0, 0.5, 10)
    assert optimizer.learning_rate_at(10) == 0.5


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf")])
def test_learning_rate_is_a_positive_number(rate):
    optimizer = Adam()
    with pytest.raises(
        ValueError, match=r"Adam: learning_rate must be a number above 0\. Received"
    ):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.001
    with pytest.raises(ValueError, match="SGD: learning_rate"):
        SGD(rate)


def test_a_schedule_that_goes_wrong_is_named():
    class Wrong(Schedule):
        def __call__(self, step):
            return float("nan")

    with pytest.raises(ValueError, match=r"SGD: .*Wrong gave nan at step 3"):
        SGD(Wrong()).hyper(3)


def test_get():
    assert type(optimizers.get("adam")) is Adam
    assert type(optimizers.get("AdamW")) is AdamW
    assert type(optimizers.get(RMSprop)) is RMSprop
    optimizer = SGD()
    assert optimizers.get(optimizer) is optimizer


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: optimizers.get("adm"), ValueError, "Unknown optimizer 'adm'. Did you mean 'adam"),
        (lambda: optimizers.get(None), TypeError, "Expected an optimizer.* Received None"),
        (
            lambda: SGD("fast"),
            TypeError,
            "learning_rate must be a number above 0. Received 'fast'",
        ),
        (lambda: SGD(momentum=1.5), ValueError, "momentum must be a number from 0 to 1"),
        (lambda: SGD(nesterov=1), TypeError, "nesterov must be True or False. Received 1"),
        (lambda: Adam(beta_1=1.0), ValueError, "beta_1 must be .* at least 0 and below 1"),
        (lambda: AdamW(weight_decay=None), ValueError, "use Adam"),
        (lambda: Adam(weight_decay=-1), ValueError, "weight_decay must be .* at least 0"),
        (lambda: RMSprop(epsilon=0), ValueError, "RMSprop: epsilon must be a number above 0"),
        (lambda: SGD(clipnorm=0), ValueError, "clipnorm must be a number above 0"),
        (lambda: SGD(clipnorm=1, clipvalue=2), ValueError, "Received clipnorm=1, clipvalue=2"),
        (
            lambda: optimizers.get({"class_name": "SGD", "config": {"rate": 1}}),
            ValueError,
            "SGD cannot be made from {'rate': 1}",
        ),
    ],
)
def test_errors_in_words(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_rate_that_float32_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"^SGD: learning_rate .* above 0 in float32\..* 1e\+39"):
        optimizers.SGD(1e39)
