"""Convolution in float64 NumPy, fast enough to check every problem before it is timed.

Tap by tap of the kernel, as shifted images times a matrix: each function is a few matrix products
and their sum. Arrays have the groups in front: images [groups, N, H, W, C / groups].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastcnn.graph.problem import Problem

Array = np.ndarray[Any, np.dtype[np.float64]]
Index = tuple[slice, ...]


def compute(direction: str, problem: Problem, first: np.ndarray, second: np.ndarray) -> Array:
    """Return one direction's result.

    Args:
        direction: "forward", "dx" or "dw".
        problem: The convolution of one image.
        first: x; for "dx" dy.
        second: The kernel; for "dw" dy.

    Returns:
        What `forward`, `dx` or `dw` returns.

    Shape:
        Those of `forward`, `dx` and `dw`.
    """
    function = {"forward": forward, "dx": dx, "dw": dw}[direction]
    return function(problem, first, second)


def forward(problem: Problem, x: np.ndarray, kernel: np.ndarray) -> Array:
    """Return the convolution of images with a kernel.

    Args:
        problem: The convolution of one image.
        x: The images.
        kernel: Kernels of all filters.

    Returns:
        y.

    Shape:
        x [N, H, W, C], kernel [KH, KW, C / groups, F] -> y [N, OH, OW, F].
    """
    padded, taps = _padded(problem, x), _grouped_kernel(problem, kernel)
    size = (len(x), problem.out_height, problem.out_width)
    y = np.zeros((problem.groups, np.prod(size), problem.filters_per_group))
    for row, column, index in _taps(problem):
        y += _rows(padded[index]) @ taps[row, column]
    return _joined(y.reshape(problem.groups, *size, -1))


def dx(problem: Problem, dy: np.ndarray, kernel: np.ndarray) -> Array:
    """Return the gradient of the images.

    Args:
        problem: The convolution of one image.
        dy: The gradient of y.
        kernel: Kernels of all filters.

    Returns:
        dx.

    Shape:
        dy [N, OH, OW, F], kernel [KH, KW, C / groups, F] -> dx [N, H, W, C].
    """
    gradient, taps = _rows(_grouped(problem, dy)), _grouped_kernel(problem, kernel)
    image = (problem.padded_height, problem.padded_width, problem.channels_per_group)
    padded = np.zeros((problem.groups, len(dy), *image))
    for row, column, index in _taps(problem):
        part = padded[index]
        part += (gradient @ taps[row, column].swapaxes(1, 2)).reshape(part.shape)
    (top, _), (left, _) = problem.padding
    inside = padded[:, :, top : top + problem.height, left : left + problem.width]
    return _joined(inside)


def dw(problem: Problem, x: np.ndarray, dy: np.ndarray) -> Array:
    """Return the gradient of the kernel, summed over the images.

    Args:
        problem: The convolution of one image.
        x: The images.
        dy: The gradient of y.

    Returns:
        dw.

    Shape:
        x [N, H, W, C], dy [N, OH, OW, F] -> dw [KH, KW, C / groups, F].
    """
    padded, gradient = _padded(problem, x), _rows(_grouped(problem, dy))
    group = (problem.channels_per_group, problem.filters_per_group)
    taps = np.zeros((*problem.kernel, problem.groups, *group))
    for row, column, index in _taps(problem):
        taps[row, column] = _rows(padded[index]).swapaxes(1, 2) @ gradient
    return taps.transpose(0, 1, 3, 2, 4).reshape(*problem.kernel, group[0], problem.filters)


def _taps(problem: Problem) -> Iterator[tuple[int, int, Index]]:
    """Yield each tap's row and column, and the index of the padded pixels that it meets."""
    rows = (problem.out_height - 1) * problem.strides[0] + 1
    columns = (problem.out_width - 1) * problem.strides[1] + 1
    for row in range(problem.kernel[0]):
        for column in range(problem.kernel[1]):
            top, left = row * problem.dilation[0], column * problem.dilation[1]
            down = slice(top, top + rows, problem.strides[0])
            across = slice(left, left + columns, problem.strides[1])
            yield row, column, (slice(None), slice(None), down, across)


def _padded(problem: Problem, x: np.ndarray) -> Array:
    return np.pad(_grouped(problem, x), ((0, 0), (0, 0), *problem.padding, (0, 0)))


def _grouped(problem: Problem, images: np.ndarray) -> Array:
    """Return images with the groups of channels in front."""
    parts = np.asarray(images, np.float64).reshape(*images.shape[:3], problem.groups, -1)
    return np.ascontiguousarray(np.moveaxis(parts, 3, 0))


def _grouped_kernel(problem: Problem, kernel: np.ndarray) -> Array:
    """Return kernel [KH, KW, groups, C / groups, F / groups]."""
    parts = np.asarray(kernel, np.float64).reshape(*kernel.shape[:3], problem.groups, -1)
    return np.moveaxis(parts, 3, 2)


def _joined(grouped: Array) -> Array:
    """Return grouped images as images [N, H, W, C]."""
    return np.moveaxis(grouped, 0, 3).reshape(*grouped.shape[1:4], -1)


def _rows(images: Array) -> Array:
    """Return the pixels of all images as the rows of a matrix for each group."""
    return images.reshape(len(images), -1, images.shape[-1])
