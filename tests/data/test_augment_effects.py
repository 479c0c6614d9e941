"""Blur, noise, erasing, standardisation and whitening against float64 NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from extensions import load, turns_during
from scipy import ndimage

from fastcnn import data as of
from fastcnn._ext import effects, random
from fastcnn.data.augment.effects import normal_levels

STREAMS = np.arange(40) * 3


@pytest.fixture(params=["release", "debug"])
def compiled(request):
    return load("effects", request)


def images(count=40, shape=(12, 10, 3)):
    return (np.random.default_rng(3).random((count, *shape)) * 255).astype(np.float32)


@pytest.mark.parametrize("size", [1, 3, 5, 31])
@pytest.mark.parametrize("shape", [(12, 10, 3), (5, 7, 1), (1, 9, 2)])
def test_blur_is_scipys(compiled, shape, size):
    x = images(shape=shape)
    generator = np.random.default_rng(4)
    weights = generator.random((40, size // 2 + 1)).astype(np.float32)
    weights[3, 1:] = 0
    weights[3, 0] = 1
    out = x.copy()
    compiled.blur(out, weights)
    for i in range(40):
        kernel = np.concatenate([weights[i, :0:-1], weights[i]]).astype(np.float64)
        expected = x[i].astype(np.float64)
        for axis in (1, 0):
            expected = ndimage.correlate1d(expected, kernel, axis, mode="reflect")
        # Two sums of `size` products, all positive: one rounding a term.
        np.testing.assert_allclose(out[i], expected, rtol=2 * size * 2.0**-23)
    np.testing.assert_array_equal(out[3], x[3])


def test_gaussian_blur_has_its_sigma_and_its_probability():
    x = np.zeros((4000, 31, 31, 1), np.float32)
    x[:, 15, 15] = 1
    made = of.Augment([of.RandomGaussianBlur(1.0, 31, (2.0, 3.0))]).apply(x, np.arange(4000), 0)
    blurred = made[:, 15, 15, 0] < 0.5
    # With Keras's factor 1.0 the probability itself is uniform in 0 to 1: half of the images.
    assert abs(blurred.sum() - 2000) < 5 * np.sqrt(1000)
    rows = made[blurred].sum(axis=2)[..., 0]
    deviations = np.sqrt((rows * np.square(np.arange(31) - 15)).sum(axis=1))
    assert 1.99 < deviations.min() < 2.05 and 2.95 < deviations.max() < 3.01
    always = of.Augment([of.RandomGaussianBlur((1, 1), 3)]).apply(x, np.arange(4000), 0)
    assert (always[:, 15, 15] < 0.5).all()


def test_noise_is_the_sum_of_two_quantiles(compiled):
    x = np.full((40, 5, 3, 3), 100, np.float32)
    levels, stddev = normal_levels(), np.linspace(0, 20, 40).astype(np.float32)
    out = x.copy()
    compiled.add_noise(out, 77, STREAMS, stddev, levels, (60.0, 140.0))
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1
    for i, stream in enumerate(STREAMS.tolist()):
        state = random.hashed((77 + golden * (stream + 1)) & mask)
        for k, value in enumerate(out[i].reshape(-1)):
            bits = random.hashed((state + golden * (k // 2 + 1)) & mask) >> 32 * (k % 2)
            z = levels[bits & 4095] + levels[bits >> 12 & 4095]
            assert value == np.clip(np.float32(100) + stddev[i] * z, 60, 140)


def test_noise_leaves_what_is_no_number(compiled):
    x = images(2)
    x[1, 3, 3, 0] = np.nan
    stddev = np.ones(2, np.float32)
    compiled.add_noise(x, 7, STREAMS[:2], stddev, normal_levels(), (0.0, 255.0))
    assert np.isnan(x[1, 3, 3, 0]) and np.isnan(x).sum() == 1


def test_noise_is_normal():
    x = np.zeros((400, 32, 32, 3), np.float32)
    augment = of.Augment([of.GaussianNoise(2.0, value_range=(-100, 100))])
    z = augment.apply(x, np.arange(400), 0).reshape(-1).astype(np.float64) / 2
    # Five standard errors of each moment of 1.2 million numbers.
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / z.size)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / z.size)
    assert abs(np.mean(z > 3) - 0.00135) < 5 * np.sqrt(0.00135 / z.size) + 1e-5
    pairs = z.reshape(-1, 2)
    assert abs((pairs[:, 0] * pairs[:, 1]).mean()) < 5 / np.sqrt(len(pairs))


@pytest.mark.parametrize("fill", [None, np.array([1, 2, 3], np.float32)])
def test_boxes_are_erased_and_nothing_else(compiled, fill):
    x = images()
    boxes = np.random.default_rng(5).integers(-3, 14, (40, 4))
    out = x.copy()
    compiled.erase(out, boxes, 5, STREAMS, fill, (300.0, 400.0))
    for i, (top, bottom, left, right) in enumerate(boxes):
        inside = np.zeros((12, 10), bool)
        inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        np.testing.assert_array_equal(out[i][~inside], x[i][~inside])
        if fill is None:
            assert (out[i][inside] >= 300).all() and (out[i][inside] <= 400).all()
            assert len(np.unique(out[i][inside])) >= 0.99 * out[i][inside].size
        else:
            np.testing.assert_array_equal(out[i][inside], np.broadcast_to(fill, (inside.sum(), 3)))


def test_erasing_has_its_sizes_and_its_probability():
    x = np.zeros((4000, 40, 30, 1), np.float32)
    augment = of.Augment([of.RandomErasing((0.3, 0.3), scale=(0.1, 0.4), fill_value=1.0)])
    made = augment.apply(x, np.arange(4000), 0)[..., 0]
    erased = made.any(axis=(1, 2))
    assert abs(erased.sum() - 1200) < 5 * np.sqrt(4000 * 0.3 * 0.7)
    for axis, size in ((2, 40), (1, 30)):
        lengths = made[erased].any(axis=axis).sum(axis=1)
        assert lengths.min() >= np.floor(size * np.sqrt(0.1))
        assert lengths.max() <= np.ceil(size * np.sqrt(0.4))
        # The square of the part is uniform: its middle parts the images in halves.
        shorter = np.mean(lengths < size * np.sqrt(0.25))
        assert abs(shorter - 0.5) < 0.1


def test_standardisation_is_tensorflows():
    x = images()
    x[3] = 7
    out = of.Augment([of.PerImageStandardization()]).apply(x, np.arange(40), 0)
    wide = x.astype(np.float64)
    mean = wide.mean(axis=(1, 2, 3), keepdims=True)
    deviation = np.maximum(wide.std(axis=(1, 2, 3), keepdims=True), 1 / np.sqrt(360))
    # x - mean cancels: errors of 255 * 2^-24, over a deviation of about 70.
    np.testing.assert_allclose(out, (wide - mean) / deviation, rtol=0, atol=4 * 255 * 2.0**-24)
    assert not out[3].any()


def test_whitening_decorrelates_and_is_symmetric():
    generator = np.random.default_rng(6)
    mixing = generator.normal(size=(48, 48))
    x = (generator.normal(size=(3000, 48)) @ mixing + 10).astype(np.float32).reshape(-1, 4, 4, 3)
    zca = of.ZCAWhitening(epsilon=1e-6).fit(x)
    augment = of.Augment([zca])
    assert augment.preprocessing == (zca,)
    white = augment.apply(x, np.arange(3000), 0).reshape(3000, -1).astype(np.float64)
    # Float32 products of 48 terms, stretched by up to the largest of 1 / deviation.
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(np.cov(white.T, ddof=0), np.eye(48), atol=5e-3)
    np.testing.assert_allclose(zca.matrix, zca.matrix.T, rtol=0, atol=1e-6 * abs(zca.matrix).max())
    parts = [augment.apply(x, np.arange(k, k + 100), 0) for k in range(0, 3000, 100)]
    np.testing.assert_array_equal(np.concatenate(parts).reshape(3000, -1), white)
    again = of.ZCAWhitening().set_arrays(zca.arrays())
    np.testing.assert_array_equal(again.apply(x[:9].copy()).reshape(9, -1), white[:9])


def test_whitening_refuses_other_images():
    with pytest.raises(ValueError, match="call fit"):
        of.Augment([of.ZCAWhitening()]).output_shape((4, 4, 3))
    zca = of.ZCAWhitening().fit(images(shape=(2, 2, 1)))
    with pytest.raises(ValueError, match="must have 4 values"):
        zca.apply(images())
    with pytest.raises(ValueError, match=r"mean must have the shape \(D,\)"):
        zca.set_arrays({"mean": np.zeros(3), "matrix": np.eye(4)})


X, KEYS = images(2), np.arange(2, dtype=np.uint64)
REFUSALS = [
    (effects.blur, (X.astype(np.float64), np.ones((2, 2), np.float32)), TypeError, "images must"),
    (effects.blur, (X, np.ones((3, 2), np.float32)), ValueError, r"weights must .*\(2, any\)"),
    (effects.blur, (X, np.ones((2, 0), np.float32)), ValueError, "at least one weight"),
    (random.uniforms, (KEYS, np.arange(3.0), np.arange(2)), TypeError, "streams must"),
    (random.uniforms, (STREAMS, STREAMS, STREAMS), TypeError, "keys must be an array of uint64"),
    (random.uniforms, (KEYS, STREAMS, np.arange(3)), ValueError, r"counts must have the shape \(2"),
    (random.uniforms, (KEYS, STREAMS, np.array([1, -1])), ValueError, "at least 0. Received -1"),
    (
        effects.erase,
        (X, np.zeros((2, 3), np.int64), 1, STREAMS[:2], None, (0, 1)),
        ValueError,
        r"boxes must have the shape \(2, 4\)",
    ),
    (
        effects.add_noise,
        (X, 1, STREAMS[:2], np.ones(2, np.float32), np.ones(3, np.float32), (0, 1)),
        ValueError,
        r"levels must have the shape \(4096\)",
    ),
]


@pytest.mark.parametrize(("function", "arguments", "error", "words"), REFUSALS)
def test_effects_refuse(function, arguments, error, words):
    with pytest.raises(error, match=words):
        function(*arguments)


@pytest.mark.parametrize(
    "one",
    [of.RandomGaussianBlur((1, 1), 9), of.GaussianNoise(3), of.RandomErasing((1, 1), (0.9, 1))],
    ids=["blur", "noise", "erasing"],
)
def test_two_threads_run_at_once(one):
    x = np.zeros((500, 32, 32, 3), np.float32)

    def work():
        one.apply(x, np.arange(500), 0, 0, 0)

    assert any(turns_during(work) for _ in range(20))
