"""Numbers that float32 does not hold are refused in a sentence: at construction, or at the step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastcnn import (
    Sequential,
    data,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from fastcnn import layers as L
from fastcnn.callbacks import (
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from fastcnn.utils import arguments

X = np.random.default_rng(0).random((6, 4), np.float32)
Y = np.arange(6, dtype=np.int32) % 3


class Own(schedules.Schedule):
    """0.1 until step 2, then what a test wants."""

    def __init__(self, value):
        self.value = value

    def __call__(self, step):
        return 0.1 if step < 2 else self.value


def fitted(rate):
    model = Sequential([L.Dense(3, activation="softmax")], (4,))
    model.compile(optimizers.SGD(rate), "sparse_categorical_crossentropy")
    model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e39, -0.1, 10**400, None, "fast"])
def test_a_schedule_that_gives_no_rate_is_refused_at_its_step(value):
    words = "SGD: the learning rate must be a number of at least 0 that float32 holds. Own gave "
    with pytest.raises(ValueError, match=f"^{words}.* at step 2"):
        fitted(Own(value))


@pytest.mark.parametrize("value", [math.nan, 1e39, 1e-60, 0, 10**400, None])
def test_a_rate_of_an_epoch_that_is_none(value):
    model = fitted(0.1)
    words = "LearningRateScheduler: .* above 0 that float32 holds. Received .* for epoch 0"
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: value)])


def test_a_decay_that_overflows_is_refused_at_its_step():
    sgd = optimizers.SGD(schedules.ExponentialDecay(1.0, 1, 10.0))
    assert sgd.learning_rate_at(38) == pytest.approx(1e38)
    for step, value in ((39, r"1e\+39"), (400, "inf")):
        with pytest.raises(ValueError, match=f"ExponentialDecay gave {value} at step {step}"):
            sgd.learning_rate_at(step)


@pytest.mark.parametrize("value", [0.2, np.float32(0.2), np.array(0.2), 1])
def test_a_schedule_may_give_any_number(value):
    assert np.isfinite(fitted(Own(value)).get_weights()[0]).all()


def test_what_adam_makes_of_a_large_rate_is_refused():
    adam = optimizers.Adam(3e38, beta_1=0.99, beta_2=0.0)
    with pytest.raises(ValueError, match=r"^Adam: the learning rate 3e\+38 at step 0 is too large"):
        adam.hyper(0)


REFUSED = {
    "L2: l2": (lambda: regularizers.L2(1e39), "in float32 inf"),
    "L1L2: l1": (lambda: regularizers.L1L2(l1=math.nan), "of at least 0. Received nan"),
    "Dropout 'dropout': rate": (lambda: L.Dropout(1 - 1e-12), "in float32 1"),
    "BatchNormalization 'batch_normalization': epsilon": (
        lambda: L.BatchNormalization(epsilon=1e-60),
        "above 0 in float32. Received 1e-60, in float32 0",
    ),
    "BatchNormalization 'batch_normalization': momentum": (
        lambda: L.BatchNormalization(momentum=math.inf),
        "from 0 to 1. Received inf",
    ),
    "ELU 'elu': alpha": (lambda: L.ELU(1e39), "in float32 inf"),
    "Constant: value": (lambda: initializers.Constant(-1e39), "in float32 -inf"),
    "Huber: delta": (lambda: losses.Huber(1e-60), "in float32 0"),
    "SGD: weight_decay": (lambda: optimizers.SGD(weight_decay=1e39), "in float32 inf"),
    "Adam: epsilon": (lambda: optimizers.Adam(epsilon=1e-60), "in float32 0"),
    "Adam: learning_rate": (lambda: optimizers.Adam(10**400), "above 0. Received 1000"),
    "StepDecay: initial_learning_rate": (lambda: schedules.StepDecay(1e39, 0.5, 1), "float32 inf"),
    "ExponentialDecay: decay_rate": (
        lambda: schedules.ExponentialDecay(0.1, 2, 1e39),
        "in float32 inf",
    ),
    "InverseTimeDecay: decay_rate": (
        lambda: schedules.InverseTimeDecay(0.1, 2, math.nan),
        "Received nan",
    ),
    "PolynomialDecay: power": (
        lambda: schedules.PolynomialDecay(0.1, 2, power=1e39),
        "in float32 inf",
    ),
    "CosineDecay: alpha": (lambda: schedules.CosineDecay(0.1, 2, math.inf), "Received inf"),
    "StepDecay: drop": (lambda: schedules.StepDecay(0.1, 1e-60, 1), "in float32 0"),
    "ReduceLROnPlateau: min_lr": (lambda: ReduceLROnPlateau(min_lr=1e39), "in float32 inf"),
    "ReduceLROnPlateau: factor": (lambda: ReduceLROnPlateau(factor=1e-60), "in float32 0"),
    "EarlyStopping: baseline": (lambda: EarlyStopping(baseline=math.nan), "Received nan"),
    "ModelCheckpoint: initial_value_threshold": (
        lambda: ModelCheckpoint("x", save_best_only=True, initial_value_threshold=math.nan),
        "Received nan",
    ),
    "BinaryAccuracy: threshold": (lambda: metrics.BinaryAccuracy(1e39), "in float32 inf"),
    "Precision: threshold": (lambda: metrics.Precision(threshold=-1e39), "in float32 -inf"),
    "RandomBrightness: factor": (lambda: data.RandomBrightness(math.nan), "Received nan"),
    "RandomBrightness: value_range": (
        lambda: data.RandomBrightness(0.1, value_range=(0, 1e39)),
        "in float32 inf",
    ),
    "RandomHue: value_range": (
        lambda: data.RandomHue(0.1, value_range=(-3e38, 3e38)),
        "whose difference float32 holds",
    ),
    "RandomContrast: value_range": (
        lambda: data.RandomContrast(0.1, value_range=(1, 1 + 1e-12)),
        "two different ends",
    ),
    "RandomContrast: factor": (lambda: data.RandomContrast((0.1, math.inf)), "Received inf"),
    "RandomCrop: fill_value": (lambda: data.RandomCrop(4, 4, fill_value=1e39), "float32 inf"),
    "RandomRotation: fill_value": (
        lambda: data.RandomRotation(0.1, fill_value=math.nan),
        "Received nan",
    ),
    "GaussianNoise: stddev": (lambda: data.GaussianNoise((1, 1e39)), "in float32 inf"),
    "RandomGaussianBlur: sigma": (
        lambda: data.RandomGaussianBlur(sigma=1e-60),
        "in float32 0",
    ),
    "RandomErasing: fill_value": (
        lambda: data.RandomErasing(fill_value=(0, 1e39, 0)),
        "in float32 inf",
    ),
    "PCAColor: stddev": (lambda: data.PCAColor(1e39), "in float32 inf"),
    "PCAColor: deviations": (
        lambda: data.PCAColor(deviations=[1, math.nan, 1], components=np.eye(3)),
        "Received nan",
    ),
    "ZCAWhitening: epsilon": (lambda: data.ZCAWhitening(1e-60), "in float32 0"),
    "MixUp: alpha": (lambda: data.MixUp(1e-60), "in float32 0"),
    "CutMix: factor": (lambda: data.CutMix(math.nan), "Received nan"),
    "Augment: scale": (lambda: data.Augment([], scale=1e39), "in float32 inf"),
    "Augment: offset": (lambda: data.Augment([], offset=np.array([0.0, np.nan])), "Received nan"),
    "Rescaling 'rescaling': what images are multiplied by": (
        lambda: Sequential([L.Rescaling(1e39)], (4,)),
        r"finite in float32. Received scale=1e\+39",
    ),
    "Normalization 'normalization': what images are multiplied by": (
        lambda: Sequential([L.Normalization(0.0, 1e-80)], (4,)),
        "variance=1e-80",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_float32_does_not_hold(name):
    make, words = REFUSED[name]
    with pytest.raises(ValueError, match=words) as refused:
        make()
    assert str(refused.value).startswith(name)


def test_a_plateau_lowers_the_rate_no_further_than_float32_does():
    model = fitted(1e-44)
    lowers = ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=100.0)
    history = model.fit(X, Y, epochs=6, initial_epoch=2, verbose=0, callbacks=[lowers])
    assert 0 < np.float32(model.optimizer.learning_rate) < 1e-44
    assert len(history.epoch) == 4


def test_numbers_stay_as_they_are_given():
    assert arguments.float32("f", "x", 0.1, above=0) == 0.1
    assert arguments.float32("f", "x", 1, most=1) == 1.0
    assert L.Dropout(0.1).get_config()["rate"] == 0.1
    with pytest.raises(ValueError, match="f: x must be a finite number in float32"):
        arguments.float32("f", "x", 1e39)
