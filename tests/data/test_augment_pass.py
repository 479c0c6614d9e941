"""The compiled pass: resampling against SciPy, colours against float64, refusals, threads."""

from __future__ import annotations

import numpy as np
import pytest
from extensions import load, turns_during
from scipy import ndimage

from fastcnn._ext import augment

# Keras's names of the fill modes, and SciPy's.
SCIPY_MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
}
INDICES = np.array([3, 1, 4, 1, 0, 2])
# Places are rounded to 2^-32 pixels and parts of pixels to 2^-24; values up to 255 in float32 carry
# three interpolations' roundings: 255 * (2^-23 + 3 * 2^-23).
SAMPLED = 255 * 4 * 2.0**-23


@pytest.fixture(params=["release", "debug"])
def resample(request):
    return load("augment", request).resample


def images(channels, dtype, shape=(13, 9)):
    generator = np.random.default_rng(5)
    return (generator.random((5, *shape, channels)) * 255).astype(dtype)


def by_scipy(x, matrices, shape, mode, order=1, fill_value=7.0):
    """Every image and channel by affine_transform, in float64."""
    out = np.empty((len(INDICES), *shape, x.shape[3]))
    for i, index in enumerate(INDICES):
        for c in range(x.shape[3]):
            out[i, :, :, c] = ndimage.affine_transform(
                x[index, :, :, c].astype(np.float64),
                matrices[i, :, :2],
                matrices[i, :, 2],
                shape,
                order=order,
                mode=SCIPY_MODES[mode],
                cval=fill_value,
            )
    return out


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resampling_is_scipys(resample, dtype, channels, mode):
    """Turned, sheared, stretched and moved, far outside too, into a smaller and larger image."""
    x = images(channels, dtype)
    generator = np.random.default_rng(6)
    for shape, spread in [((11, 15), 0.3), ((5, 1), 3.0), ((13, 9), 0.0)]:
        moves = generator.normal(size=(len(INDICES), 2, 3)) * [spread, spread, 9]
        matrices = np.eye(2, 3) + moves
        out = np.full((len(INDICES), *shape, channels), np.nan, np.float32)
        options = {"matrices": matrices, "fill_mode": mode, "fill_value": 7.0}
        assert resample(x, INDICES, out, **options) is out
        expected = by_scipy(x, matrices, shape, mode)
        np.testing.assert_allclose(out, expected, rtol=0, atol=SAMPLED)


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_whole_pixels_and_flips_are_scipys_bit_for_bit(resample, dtype, channels, mode):
    x = images(channels, dtype)
    flips = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1), (1, -1), (1, 1)])
    moves = [(0, 0), (4, 10), (11, -3), (30, 5), (-2, 60), (-40, -1)]
    matrices = np.zeros((len(INDICES), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = flips.T
    matrices[:, :, 2] = moves
    out = np.full((len(INDICES), 11, 15, channels), np.nan, np.float32)
    resample(x, INDICES, out, matrices=matrices, fill_mode=mode, fill_value=7.0)
    np.testing.assert_array_equal(out, by_scipy(x, matrices, (11, 15), mode))


@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_the_nearest_pixel_is_scipys(resample, mode):
    x = images(3, np.uint8)
    moves = np.random.default_rng(7).normal(size=(len(INDICES), 2, 3)) * [0.3, 0.3, 3]
    matrices = np.eye(2, 3) + moves
    out = np.empty((len(INDICES), 11, 15, 3), np.float32)
    resample(x, INDICES, out, matrices=matrices, fill_mode=mode, fill_value=7.0, nearest=True)
    np.testing.assert_array_equal(out, by_scipy(x, matrices, (11, 15), mode, order=0))


@pytest.mark.parametrize("matrices", [None, np.tile(np.eye(2, 3), (6, 1, 1))])
@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_identity_gives_the_image_back(resample, dtype, nearest, matrices):
    x = images(3, dtype)
    out = np.empty((6, 13, 9, 3), np.float32)
    ones, zeros = np.tile(np.eye(3, dtype=np.float32), (6, 1, 1)), np.zeros((6, 3), np.float32)
    for colour in ({}, {"linear": ones, "offset": zeros}):
        resample(x, INDICES, out, matrices=matrices, nearest=nearest, **colour)
        np.testing.assert_array_equal(out, x[INDICES])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["common", "mixed"])
@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colours_are_those_of_float64(resample, dtype, with_mean, kind, turned):
    """linear v + offset + mean m, cut, then scaled and shifted; m is that of the whole image."""
    x = images(3, dtype)
    generator = np.random.default_rng(8)
    side = 3 if kind == "mixed" else 1
    linear = generator.normal(size=(6, side, side)).astype(np.float32)
    mean = generator.normal(size=(6, side, side)).astype(np.float32) if with_mean else None
    offset = (50 + 50 * generator.normal(size=(6, 3))).astype(np.float32)
    matrices = np.tile(np.eye(2, 3), (6, 1, 1))
    matrices[:, :, 2] = 0.25 if turned else 1
    scale, shift = np.array([0.5, 2.0, -1.0]), np.array([1.0, -3.0, 0.25])
    out = np.empty((6, 13, 9, 3), np.float32)
    resample(
        x, INDICES, out, matrices=matrices, fill_mode="wrap", linear=linear, offset=offset,
        mean=mean, limits=(10.0, 240.0), scale=scale, shift=shift,
    )  # fmt: skip
    placed = by_scipy(x, matrices, (13, 9), "wrap")
    square = linear.astype(np.float64) * np.eye(3) if kind == "common" else linear.astype(float)
    expected = np.einsum("nij,nhwj->nhwi", square, placed) + offset[:, None, None]
    if mean is not None:
        square = mean.astype(float) * np.eye(3) if kind == "common" else mean.astype(float)
        colours = x[INDICES].mean(axis=(1, 2), dtype=np.float64)
        expected += np.einsum("nij,nj->ni", square, colours)[:, None, None]
    expected = np.clip(expected, 10, 240) * scale + shift
    # Sums of five terms of up to about 3 * 255, each rounded once or twice, then times 2.
    np.testing.assert_allclose(out, expected, rtol=0, atol=2 * 10 * 3 * 255 * 2.0**-24)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_one_factor_works_for_any_number_of_channels(resample, channels):
    x = images(channels, np.uint8)
    factor = np.full((6, 1, 1), 0.5, np.float32)
    offset = np.tile(np.arange(channels, dtype=np.float32), (6, 1))
    out = np.empty((6, 13, 9, channels), np.float32)
    resample(x, INDICES, out, linear=factor, offset=offset, mean=factor)
    colours = x[INDICES].mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    expected = 0.5 * x[INDICES] + np.arange(channels) + 0.5 * colours
    np.testing.assert_allclose(out, np.clip(expected, 0, 255), rtol=0, atol=4 * 255 * 2.0**-24)


X = images(3, np.uint8)
OUT = np.zeros((6, 13, 9, 3), np.float32)
LINEAR = np.ones((6, 1, 1), np.float32)
FAR = np.tile(np.array([[1.0, 0, 40000], [0, 1, 0]]), (6, 1, 1))

REFUSALS = [
    ((X.astype(np.float64), INDICES, OUT), {}, TypeError, "x must be .*uint8 or float32.*float64"),
    ((X[0], INDICES, OUT), {}, ValueError, r"x must have the shape \(any, any, any, any\)"),
    ((X[:, ::2], INDICES, OUT), {}, ValueError, "x must be a C-contiguous"),
    ((X, INDICES + 1, OUT), {}, IndexError, "from 0 to 4 .* Received 5 at position 2"),
    ((X, INDICES.astype(np.int32), OUT), {}, TypeError, "indices must be .*int64.*int32"),
    ((X, INDICES, OUT[:5]), {}, ValueError, r"out must have the shape \(6, any, any, 3\)"),
    ((X, INDICES, OUT.astype(np.float64)), {}, TypeError, "out must be .*float32.*float64"),
    ((X[:, :0], INDICES, OUT), {}, ValueError, "must have pixels"),
    ((X, INDICES, OUT), {"matrices": FAR[:5]}, ValueError, r"matrices must have .*\(6, 2, 3\)"),
    ((X, INDICES, OUT), {"matrices": FAR}, ValueError, "within 32768 pixels .* at position 0"),
    ((X, INDICES, OUT), {"matrices": np.full_like(FAR, np.nan)}, ValueError, "within 32768 pixels"),
    ((X, INDICES, OUT), {"matrices": np.full_like(FAR, np.inf)}, ValueError, "within 32768 pixels"),
    ((X, INDICES, OUT), {"fill_mode": "mirror"}, ValueError, "fill_mode must be one of constant"),
    ((X, INDICES, OUT), {"fill_value": [1, 2]}, ValueError, "fill_value must be one finite"),
    ((X, INDICES, OUT), {"scale": np.nan}, ValueError, "scale must be one finite"),
    ((X, INDICES, OUT), {"linear": FAR}, TypeError, "linear must be .*float32.*float64"),
    ((X, INDICES, OUT), {"linear": 5}, TypeError, "linear must be an array of float32. Received i"),
    ((X, INDICES, OUT), {"mean": LINEAR}, ValueError, "offset and mean need linear"),
    ((X, INDICES, OUT), {"offset": LINEAR[:, 0]}, ValueError, "offset and mean need linear"),
    ((X, INDICES, OUT), {"limits": (5,)}, ValueError, r"limits must be a pair.*Received \(5,\)"),
    ((X, INDICES, OUT), {"limits": 5}, ValueError, "limits must be a pair"),
    ((X, INDICES, OUT), {"limits": (9, 3)}, ValueError, "limits must be a pair"),
    ((X, INDICES, OUT), {"limits": (0, np.nan)}, ValueError, "limits must be a pair"),
    ((X, INDICES, OUT), {"fill_value": "x"}, ValueError, "fill_value must be one finite"),
    ((OUT, INDICES, OUT), {}, ValueError, "out must not share memory with x"),
    ((OUT[:5], INDICES, OUT), {}, ValueError, "out must not share memory with x"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "words"), REFUSALS)
def test_resampling_refuses(resample, arguments, options, error, words):
    with pytest.raises(error, match=words):
        resample(*arguments, **options)
    assert not OUT.any()


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**31, np.nan])
def test_steps_that_no_number_holds_are_refused(resample, place, value):
    """Also where the result is one pixel, so that the step is never taken."""
    matrices = np.array([[[1.0, 0, 0.25], [0, 1, 0.25]]])
    matrices[(0, *place)] = value
    with pytest.raises(ValueError, match="within 32768 pixels"):
        resample(X, INDICES[:1], np.zeros((1, 1, 1, 3), np.float32), matrices=matrices)


@pytest.mark.parametrize("side", [1, 3])
def test_what_is_no_number_stays_none(resample, side):
    """The cut to the limits must not make a number of it."""
    x = images(3, np.float32)
    x[1, 4, 4, 1] = np.nan
    linear = np.tile(np.eye(side, dtype=np.float32), (6, 1, 1))
    out = np.zeros_like(OUT)
    resample(x, INDICES, out, linear=linear, offset=np.zeros((6, 3), np.float32))
    wrong = np.isnan(out)
    assert wrong[INDICES == 1, 4, 4, 1].all() and not wrong[INDICES != 1].any()
    np.testing.assert_array_equal(out[~wrong], x[INDICES][~wrong])


def test_a_read_only_target_is_refused(resample):
    out = np.zeros_like(OUT)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        resample(X, INDICES, out)


def test_nothing_to_do(resample):
    out = np.empty((0, 13, 9, 3), np.float32)
    assert resample(X, INDICES[:0], out) is out


def test_two_threads_run_at_once():
    """While one thread augments, another one runs: the GIL is not held."""
    matrix = np.array([[0.9, 0.1, 0], [-0.1, 0.9, 0]])
    x = np.zeros((1, 64, 64, 3), np.uint8)
    indices = np.zeros(2048, np.int64)
    out = np.zeros((len(indices), 64, 64, 3), np.float32)
    matrices = np.tile(matrix, (len(indices), 1, 1))
    # A busy machine may not give the second thread a turn at once; a held GIL never does.
    assert any(
        turns_during(lambda: augment.resample(x, indices, out, matrices=matrices))
        for _ in range(20)
    )
