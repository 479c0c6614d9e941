"""What pooling layers are asked for: sizes that round up, what they leave unread, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L


# By PyTorch: floor(...) + 1, and with ceil_mode ceil(...) + 1 less a window that would begin
# behind the image.
@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "outputs"),
    [
        (112, 3, 2, 0, (55, 56)),  # GoogLeNet's
        (27, 3, 2, 0, (13, 13)),
        (7, 2, 3, 1, (3, 3)),
        (6, 2, 3, 0, (2, 2)),
        (6, 3, 2, 1, (3, 4)),
        (2, 3, 2, 0, (None, 1)),
        (5, 1, 5, 0, (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", [L.MaxPooling2D, L.AveragePooling2D])
def test_ceil_mode_rounds_up(kind, size, window, stride, padding, outputs):
    for ceil_mode, expected in zip((False, True), outputs, strict=True):
        layer = kind(window, stride, padding, ceil_mode=ceil_mode)
        if expected is None:
            with pytest.raises(ValueError, match="does not fit into the input of 2x2 pixels"):
                layer.build((size, size, 3))
        else:
            layer.build((size, size, 3))
            assert layer.output_shape == (expected, expected, 3)


def test_ceil_mode_leaves_no_pixel_unread():
    for ceil_mode, unread in ((False, (1, 1)), (True, (0, 0))):
        layer = L.MaxPooling2D(3, 2, ceil_mode=ceil_mode)
        layer.build((8, 6, 1))
        assert layer.unread() == unread


@pytest.mark.parametrize("include_pad", [False, True])
def test_what_counts_in_a_mean(include_pad):
    layer = L.AveragePooling2D(3, 2, 1, ceil_mode=True, count_include_pad=include_pad)
    model = Sequential([layer], input_shape=(4, 4, 1), device="cpu")
    shares = model.predict(np.ones((1, 4, 4, 1), np.float32))[0, :, :, 0]
    # Windows see 2, 3 and 1 of the image's rows; the last one's third row is beyond the padding.
    rows = np.array([2 / 3, 1, 1 / 2]) if include_pad else np.ones(3)
    np.testing.assert_allclose(shares, np.outer(rows, rows), rtol=1e-6)


@pytest.mark.parametrize("window", [2, 3, 4])
def test_nan_is_the_largest_of_every_window_that_holds_it(window):
    layers = [L.MaxPooling2D(window, 1), L.ReLU()]
    model = Sequential(layers, input_shape=(6, 6, 9), device="cpu")
    x = np.ones((1, 6, 6, 9), np.float32)
    x[0, 2, 3, 8] = np.nan
    windows = np.lib.stride_tricks.sliding_window_view(x, (window, window), axis=(1, 2))
    expected = np.where(np.isnan(windows).any((-2, -1)), np.nan, 1)
    np.testing.assert_array_equal(model.engine().predict(x), expected)  # what `predict` refuses


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0])
def test_norms_of_very_large_and_small_numbers(norm):
    """Their powers leave float32."""
    model = Sequential([L.LpPooling2D(norm=norm)], input_shape=(2, 2, 1), device="cpu")
    for size in (1e30, 1e-30, 0.0):
        x = np.array([3, -4, 0, 1], np.float32).reshape(1, 2, 2, 1) * np.float32(size)
        expected = size * (3**norm + 4**norm + 1) ** (1 / norm)
        np.testing.assert_allclose(model.predict(x).item(), expected, rtol=1e-5)


@pytest.mark.parametrize("norm", [0.5, float("inf"), float("nan")])
def test_a_norm_is_from_1_on(norm):
    with pytest.raises(ValueError, match="norm must be a number of at least 1"):
        L.LpPooling2D(norm=norm)
