"""What the compiler makes of the kernels that augment images: the host's bits, as PTX runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ptx_machine.launching import launch

from fastcnn._ext.augment import FILL_MODES
from fastcnn.data.augment.effects import normal_levels
from fastcnn.data.augment.geometry import ResampleOptions
from fastcnn.data.augment.params import BatchParams, Erasing, Noise
from fastcnn.kernels.cuda.data.effects import add_noise, erase_boxes
from fastcnn.kernels.cuda.data.resample import add_mean_colour, resample_images
from fastcnn.kernels.cuda.runtime.kernel import Kernel

INDICES = np.array([2, 0, 2, 1])
COUNT = len(INDICES)
HEIGHT, WIDTH, SHAPE = 7, 5, (6, 7)
# Channels, the sides of the colours' matrices, whether they go by the mean colour too.
COLOURS = [(1, 1, True), (3, 3, True), (3, 3, False), (4, 1, True), (3, 0, False)]


def on_machine(x: np.ndarray, drawn: BatchParams) -> np.ndarray:
    """x[INDICES] augmented by the compiled kernels."""
    colours = (drawn.linear, drawn.offset, drawn.mean)
    parts = [part.reshape(COUNT, -1) for part in colours if part is not None]
    records = np.concatenate(parts, axis=1) if parts else np.zeros((COUNT, 0), np.float32)
    channels, given = x.shape[3], {"images": x, "indices": INDICES.astype(np.int32)}
    given |= {"side": 0 if drawn.linear is None else drawn.linear.shape[1]}
    given |= {"record": records.shape[1], "channels": channels}
    if drawn.mean is not None:
        pixels = HEIGHT * WIDTH
        adding = add_mean_colour[x.dtype.name]
        records = launch(adding, COUNT, colours=records, pixels=pixels, **given)["colours"]
    settings = [np.full(channels, drawn.fill.fill_value), drawn.scale, drawn.shift]
    made = launch(
        resample_images[x.dtype.name],
        COUNT,
        **given,
        colours=records if records.size else None,
        matrices=drawn.matrices,
        settings=np.array(settings, np.float32),
        x=np.full((COUNT, *drawn.shape), np.nan, np.float32),
        height=HEIGHT,
        width=WIDTH,
        out_height=SHAPE[0],
        out_width=SHAPE[1],
        fill_mode=FILL_MODES.index(drawn.fill.fill_mode),
        nearest=drawn.fill.interpolation == "nearest",
        scaled=1,
        low=drawn.limits[0],
        high=drawn.limits[1],
    )
    return made["x"]


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_compiled_kernels_have_the_hosts_bits(dtype, mode):
    random = np.random.default_rng(0)
    for interpolation in ("bilinear", "nearest"):
        for channels, side, with_mean in COLOURS:
            x = (random.random((3, HEIGHT, WIDTH, channels)) * 255).astype(dtype)
            matrices = np.eye(2, 3) + random.normal(size=(COUNT, 2, 3)) * [0.3, 0.3, 5]
            sides = (COUNT, side, side)
            drawn = BatchParams(
                (*SHAPE, channels),
                ResampleOptions(mode, interpolation, 7.0),
                matrices if side else None,
                linear=random.normal(size=sides).astype(np.float32) if side else None,
                offset=random.normal(size=(COUNT, channels)).astype(np.float32) if side else None,
                mean=random.normal(size=sides).astype(np.float32) if with_mean else None,
                limits=(-20.0, 200.0),
                scale=np.arange(channels) + 0.5,
                shift=np.arange(channels) - 1.0,
            )
            found, expected = on_machine(x, drawn), drawn.applied(x, INDICES)
            if with_mean and dtype == np.float32:  # summed in another order
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
            else:
                np.testing.assert_array_equal(found, expected)


STREAMS = np.array([0, 7, 10**12, 7])
LIMITS = {"low": 3.0, "high": 200.0}


def launch_on(x: np.ndarray, kernel: Kernel, key: int, **values: Any) -> np.ndarray:
    """Launch a kernel that changes finished images by random numbers of a key; return them."""
    keys = np.array([key], np.uint64).view(np.int64)
    return launch(kernel, COUNT, x=x, keys=keys, streams=STREAMS, **values, **LIMITS)["x"]


def finished(channels: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return (random.random((COUNT, HEIGHT, WIDTH, channels)) * 255).astype(np.float32)


@pytest.mark.parametrize("key", [5, 2**64 - 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_compiled_noise_has_the_hosts_bits(channels, key):
    x, levels = finished(channels), normal_levels()
    stddev = np.array([1.5, 0, 40, 1e-3], np.float32)
    found = launch_on(x, add_noise, key, stddev=stddev, levels=levels, size=x[0].size)
    Noise(key, STREAMS, stddev, levels, (LIMITS["low"], LIMITS["high"])).apply(x)
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("fill", [None, [1.0, -2.0, 300.0]])
def test_compiled_boxes_have_the_hosts_bits(fill):
    x, key = finished(3), 2**64 - 3
    boxes = np.array([(0, HEIGHT, 0, WIDTH), (2, 2, 1, 3), (-3, 4, 1, 99), (5, 9, -1, 2)])
    fill = None if fill is None else np.array(fill, np.float32)
    sizes = {"height": HEIGHT, "width": WIDTH, "channels": 3}
    found = launch_on(x, erase_boxes, key, boxes=boxes, fill=fill, **sizes)
    Erasing(key, STREAMS, boxes, fill, (LIMITS["low"], LIMITS["high"])).apply(x)
    np.testing.assert_array_equal(found, x)
