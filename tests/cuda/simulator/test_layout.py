"""CUDA kernels that move numbers, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from building import images
from launching import launch, one_block, unset

from fastcnn.kernels.cuda import layout
from fastcnn.kernels.cuda.data.gather import gather_images

HEIGHT, WIDTH, CHANNELS = 3, 5, 4
SIDES = {"top": 1, "bottom": 2, "left": 2 * CHANNELS, "right": 1 * CHANNELS}
PADS = [(0, 0), (1, 2), (2, 1), (0, 0)]
SIZES = {"height": HEIGHT, "row": WIDTH * CHANNELS, **SIDES}


@pytest.fixture(autouse=True)
def _few_blocks(monkeypatch):
    one_block(monkeypatch)


@pytest.mark.parametrize("relu", [0, 1])
@pytest.mark.parametrize("scaled", [False, True])
def test_pad_image(scaled, relu):
    x = np.round(images(2, (HEIGHT, WIDTH, CHANNELS)) * np.float32(8))
    scale, offset = np.array([[1, 2, -1, 4], [3, 0, 1, -2]], np.float32)
    expected = x
    given = {}
    if scaled:
        expected = x * scale + offset
        expected = np.maximum(expected, 0) if relu else expected
        given = {"scale": scale, "offset": offset, "channels": CHANNELS}
    expected = np.pad(expected, PADS)
    y = launch(layout.pad_image, 2, x=x, y=unset(*expected.shape), relu=relu, **given, **SIZES)
    np.testing.assert_array_equal(y["y"], expected)


def test_crop_image_undoes_padding():
    inside = images(2, (HEIGHT, WIDTH, CHANNELS))
    x = np.pad(inside, PADS, constant_values=np.nan)
    y = launch(layout.crop_image, 2, x=x, y=unset(*inside.shape), **SIZES)["y"]
    np.testing.assert_array_equal(y, inside)


def test_copy_rows_into_wider_rows_and_back():
    x, y = images(2, (6, 3)), np.zeros((2, 6, 5), np.float32)
    sizes = {"rows": 6, "columns": 3}
    wide = launch(layout.copy_rows, 2, x=x, y=y, x_row=3, y_row=5, **sizes)["y"]
    np.testing.assert_array_equal(wide[..., :3], x)
    np.testing.assert_array_equal(wide[..., 3:], 0)
    back = launch(layout.copy_rows, 2, x=wide, y=unset(2, 6, 3), x_row=5, y_row=3, **sizes)["y"]
    np.testing.assert_array_equal(back, x)


def test_copy_rows_of_whole_images():
    x = images(3, (7,))
    y = launch(layout.copy_rows, 3, x=x, y=unset(3, 7), rows=1, columns=7)["y"]
    np.testing.assert_array_equal(y, x)


def test_fill_zero():
    y = launch(layout.fill_zero, y=unset(10), size=7)["y"]
    np.testing.assert_array_equal(y, [0.0] * 7 + [np.nan] * 3)


@pytest.mark.parametrize("bias", [None, np.float32([2, 4, -1])])
def test_fold_bias(bias):
    scale, shift = np.array([[1, 2, -3], [4, 0, 0.5]], np.float32)
    y = launch(layout.fold_bias, bias=bias, scale=scale, shift=shift, y=unset(3), size=3)["y"]
    np.testing.assert_array_equal(y, shift if bias is None else bias * scale + shift)


@pytest.mark.parametrize("dtype", gather_images)
def test_gather_images(dtype):
    stored = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(dtype)
    indices = np.array([4, 0, 4], np.int32)
    given = {"images": stored, "indices": indices, "x": unset(3, 4, 3)}
    x = launch(gather_images[dtype], 3, **given, size=12)["x"]
    np.testing.assert_array_equal(x, stored[indices])


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_an_image_extended_by_its_own_pixels_and_back(mode):
    height, width, channels = 3, 4, 5
    border = {"top": 2, "bottom": 1, "left": 0, "right": 3}
    sides = ((0, 0), (2, 1), (0, 3), (0, 0))
    sizes = {"height": height, "width": width, "channels": channels, **border}
    x = images(2, (height, width, channels))
    expected = np.pad(x, sides, mode)
    reflected = int(mode == "reflect")
    made = launch(
        layout.extend_image, 2, x=x, y=unset(*expected.shape), reflected=reflected, **sizes
    )
    np.testing.assert_array_equal(made["y"], expected)
    dy = np.round(4 * images(2, expected.shape[1:]))  # sums of small integers are exact
    places = np.pad(np.arange(height * width).reshape(height, width), sides[1:3], mode)
    dx = np.zeros((2, height * width, channels), np.float32)
    np.add.at(dx, (slice(None), places.ravel()), dy.reshape(2, -1, channels))
    made = launch(
        layout.extend_image_dx, 2, dy=dy, dx=unset(*x.shape), reflected=reflected, **sizes
    )
    np.testing.assert_array_equal(made["dx"], dx.reshape(x.shape))
