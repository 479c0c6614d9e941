"""Initializers: fans, ranges and moments as Keras's; regularizers; names and configurations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastcnn import initializers, regularizers
from fastcnn.initializers import (
    Constant,
    GlorotUniform,
    HeNormal,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    fans,
)
from fastcnn.regularizers import L1, L1L2, L2
from fastcnn.utils import naming

KERNEL = (3, 5, 40, 60)  # fans: 15 * 40 = 600 in, 15 * 60 = 900 out

# name: (variance, largest magnitude in standard deviations of the untruncated law or None)
UNIFORM = math.sqrt(3)
TRUNCATED = 2 / 0.87962566103423978
RANDOM = [
    ("glorot_uniform", 2 / 1500, UNIFORM),
    ("glorot_normal", 2 / 1500, TRUNCATED),
    ("he_uniform", 2 / 600, UNIFORM),
    ("he_normal", 2 / 600, TRUNCATED),
    ("lecun_uniform", 1 / 600, UNIFORM),
    ("lecun_normal", 1 / 600, TRUNCATED),
    ("random_uniform", 0.05**2 / 3, UNIFORM),
    ("random_normal", 0.05**2, None),
    ("truncated_normal", 0.05**2 * 0.87962566103423978**2, TRUNCATED),
    (VarianceScaling(3.0, "fan_out", "untruncated_normal"), 3 / 900, None),
    (VarianceScaling(0.5, "fan_out", "uniform"), 0.5 / 900, UNIFORM),
]


@pytest.mark.parametrize("identifier, variance, bound", RANDOM)
def test_moments(identifier, variance, bound):
    w = initializers.get(identifier)(KERNEL, np.random.default_rng(1))
    assert (w.shape, w.dtype) == (KERNEL, np.float32)
    assert w.flags.c_contiguous
    n = w.size
    # Six standard errors of each moment.
    assert abs(w.mean()) < 6 * math.sqrt(variance / n)
    assert w.var() == pytest.approx(variance, rel=6 * math.sqrt(2 / n))
    if bound is None:
        assert np.abs(w).max() > 3.5 * math.sqrt(variance)
    else:
        assert 0.99 * bound < np.abs(w).max() / math.sqrt(variance) <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    "shape, expected",
    [((), (1, 1)), ((7,), (7, 7)), ((3, 4), (3, 4)), (KERNEL, (600, 900)), ((3, 3, 8, 1), (72, 9))],
)
def test_fans_as_keras(shape, expected):
    assert fans(shape) == expected


def test_constants():
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(Zeros()((2, 3), generator), np.zeros((2, 3)))
    np.testing.assert_array_equal(Ones()((2,), generator), np.ones(2))
    np.testing.assert_array_equal(Constant(0.25)((1, 2), generator), np.full((1, 2), 0.25))
    assert Constant(2)((3,), generator).dtype == np.float32


def test_the_mean_and_range_are_those_asked_for():
    generator = np.random.default_rng(0)
    normal = RandomNormal(3.0, 0.1)((10000,), generator)
    truncated = TruncatedNormal(3.0, 0.1)((10000,), generator)
    uniform = RandomUniform(2.0, 5.0)((10000,), generator)
    assert normal.mean() == pytest.approx(3, abs=0.01)
    assert np.abs(truncated - 3).max() <= 0.2 + 1e-6
    assert uniform.min() >= 2
    assert uniform.max() <= 5
    assert uniform.mean() == pytest.approx(3.5, abs=0.05)


def test_the_generator_decides_unless_there_is_a_seed():
    free, seeded = HeNormal(), HeNormal(seed=5)

    def draw(initializer, seed):
        return initializer((4, 5), np.random.default_rng(seed))

    np.testing.assert_array_equal(draw(free, 1), draw(free, 1))
    assert not np.array_equal(draw(free, 1), draw(free, 2))
    np.testing.assert_array_equal(draw(seeded, 1), draw(seeded, 2))


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_configuration_round_trip(name):
    initializer = initializers.get(name)
    copy = initializers.get(naming.serialize(initializer))
    assert type(copy) is type(initializer)
    assert copy.get_config() == initializer.get_config()


def test_names():
    assert isinstance(initializers.get("GlorotUniform"), GlorotUniform)
    assert initializers.get(Constant(0.5)).value == 0.5
    copy = initializers.get({"class_name": "Constant", "config": {"value": 0.5}})
    assert copy.value == 0.5
    assert [naming.snake_case(n) for n in ("MaxPooling2D", "ReLU", "LeakyReLU", "Conv2D")] == [
        "max_pooling2d",
        "re_lu",
        "leaky_re_lu",
        "conv2d",
    ]


@pytest.mark.parametrize(
    "identifier, l1, l2",
    [
        ("l1", 0.01, 0.0),
        ("l2", 0.0, 0.01),
        ("l1_l2", 0.01, 0.01),
        ("L1L2", 0.01, 0.01),
        (L1(0.5), 0.5, 0.0),
        (L2(0.25), 0.0, 0.25),
        (L1L2, 0.0, 0.0),
        (L1L2(0.5, 0.25), 0.5, 0.25),
    ],
)
def test_regularizers(identifier, l1, l2):
    regularizer = regularizers.get(identifier)
    assert (regularizer.l1, regularizer.l2) == (l1, l2)
    w = np.array([2.0, -3.0], np.float32)
    assert regularizer(w) == pytest.approx(l1 * 5 + l2 * 13)
    copy = regularizers.get(naming.serialize(regularizer))
    assert type(copy) is type(regularizer)
    assert (copy.l1, copy.l2) == (l1, l2)


def test_no_regularizer():
    assert regularizers.get(None) is None


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: initializers.get("glorot_unifrm"), ValueError, "mean 'glorot_uniform'"),
        (lambda: initializers.get(0.5), TypeError, "Expected an initializer.* Received 0.5"),
        (lambda: Constant(float("nan")), ValueError, "value must be a finite number"),
        (lambda: RandomNormal(stddev=-1), ValueError, "stddev must be a number of at least 0"),
        (lambda: HeNormal(seed=-1), ValueError, "seed must be a whole number of at least 0"),
        (lambda: VarianceScaling(mode="fan_ni"), ValueError, "mode 'fan_ni'. .* 'fan_in'"),
        (lambda: VarianceScaling(scale=0), ValueError, "scale must be a number above 0"),
        (lambda: L2(-0.1), ValueError, "L2: l2 must be a number of at least 0. Received -0.1"),
        (lambda: L1("x"), TypeError, "L1: l1 must be"),
        (lambda: regularizers.get("l3"), ValueError, "Unknown regularizer 'l3'. Did you mean"),
    ],
)
def test_errors_in_words(make, error, words):
    with pytest.raises(error, match=words):
        make()
