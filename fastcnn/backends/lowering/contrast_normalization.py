"""Local contrast normalization: steps on maps that have one number a pixel."""

from __future__ import annotations

import numpy as np

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import IMAGE, Region


def contrast_norm(low: Regions, op: Op) -> None:
    x, kernels, sizes = op.inputs[0], low.kernels.contrast_normalization, _sizes(op.inputs[0])
    y, centered, squares, divisors = (low.region(buffer) for buffer in op.outputs)
    _emit_centered(low, op, x, low.region(x), centered)
    means = _means(low, x, centered, centered)
    _emit_blur(low, op, x, means, squares)
    places = {"squares": squares, "divisors": divisors}
    epsilon = float(op.attributes["epsilon"])
    pixels = sizes["pixels"]
    low.emit(kernels.contrast_divisors, IMAGE, "divisors", places, pixels=pixels, epsilon=epsilon)
    places = {"x": centered, "divisors": divisors, "y": y}
    low.emit(kernels.contrast_quotient, IMAGE, "y", places, **sizes, share=0.0)


def contrast_norm_dx(low: Regions, op: Op) -> None:
    """With v what the mean was taken from, s its blurred squares and d the divisors:
    dv = dy / d + 2 / C * v * blurred(ds), and dx = dv - blurred(the mean of dv)."""
    dy, centered, squares, divisors = (low.region(buffer) for buffer in op.inputs)
    x, kernels, sizes = op.inputs[0], low.kernels.contrast_normalization, _sizes(op.inputs[0])
    means, slopes, blurred = _means(low, x, dy, centered), _map(x, "slopes"), _map(x, "blurred")
    places = {"squares": squares, "divisors": divisors, "means": means, "slopes": slopes}
    low.emit(kernels.contrast_slopes, IMAGE, "slopes", places, **sizes)
    _emit_blur(low, op, x, slopes, blurred, transposed=True)
    dv = Region(4 * x.size, label="gradient of the centered image")
    places = {"x": dy, "divisors": divisors, "centered": centered, "slopes": blurred, "y": dv}
    low.emit(kernels.contrast_quotient, IMAGE, "y", places, **sizes, share=2 / sizes["channels"])
    _emit_centered(low, op, x, dv, low.region(op.outputs[0]), transposed=True)


def _sizes(x: Buffer) -> dict[str, int]:
    height, width, channels = x.shape
    return {"pixels": height * width, "channels": channels}


def _map(x: Buffer, label: str) -> Region:
    """Return a region for one number a pixel."""
    height, width, _ = x.shape
    return Region(4 * height * width, label=label)


def _means(low: Regions, x: Buffer, values: Region, factor: Region | None = None) -> Region:
    """Emit the means over the channels, of products with a factor where there is one."""
    means = _map(x, "means over channels")
    places = {"x": values, "factor": factor, "means": means}
    kernel = low.kernels.contrast_normalization.pixel_means
    low.emit(kernel, IMAGE, "means", places, **_sizes(x))
    return means


def _emit_blur(
    low: Regions, op: Op, x: Buffer, values: Region, y: Region, transposed: bool = False
) -> None:
    """Emit the weighted mean of a map around each pixel, or its transpose: along the columns, then
    along the rows."""
    height, width, _ = x.shape
    window, sigma = op.attributes["size"], op.attributes["sigma"]
    middle = _map(x, "blurred along one axis")
    axes = ((values, middle, 1, height, width), (middle, y, height, width, 1))
    for source, target, outer, length, inner in axes:
        table = low.constant(_table(length, window, sigma, transposed))
        places = {"x": source, "table": table, "y": target}
        low.emit(
            low.kernels.contrast_normalization.blur,
            IMAGE,
            "y",
            places,
            outer=outer,
            length=length,
            inner=inner,
            window=window,
        )


def _emit_centered(
    low: Regions, op: Op, x: Buffer, values: Region, y: Region, transposed: bool = False
) -> None:
    """Emit the image less the weighted mean of all channels around each pixel."""
    blurred = _map(x, "blurred means")
    _emit_blur(low, op, x, _means(low, x, values), blurred, transposed)
    places = {"x": values, "level": blurred, "y": y}
    low.emit(low.kernels.contrast_normalization.subtract_level, IMAGE, "y", places, **_sizes(x))


def _table(length: int, window: int, sigma: float, transposed: bool) -> list[float]:
    """Return the weights of a Gaussian window around each place of an axis, [length, window], as
    far as it lies inside: their sum is 1, in the transpose that of all weights of a place."""
    distance = np.arange(window) - window // 2
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    places = np.arange(length)[:, None] + distance
    inside = np.where((places >= 0) & (places < length), weights, 0.0)
    totals = inside.sum(axis=1)
    divisor = totals[np.clip(places, 0, length - 1)] if transposed else totals[:, None]
    return [float(weight) for weight in (inside / divisor).ravel()]
