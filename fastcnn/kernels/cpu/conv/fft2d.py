"""Two-dimensional Fourier transforms of images with channels last, by numpy.fft."""

from __future__ import annotations

from math import log2, sqrt
from typing import Final

import numpy as np

from fastcnn.kernels.cpu.runtime.host_kernel import Record, finish, host_kernel, share, view
from fastcnn.kernels.cpu.runtime.kernel import record

# Sizes of the image, then those of the transform: the image is the first corner of what is
# transformed, `top` and `left` say where it begins in what comes back.
TRANSFORM = record(
    *("image", "spectrum", "bias", "scale"),
    *("height", "width", "channels", "size_h", "size_w"),
    *("top", "left", "conjugate", "relu", "parts"),
)
# With a factor in front, NumPy 2 keeps float32; its plain forward transform passes through float64.
NORM: Final = "ortho"
# What is nearer to 0, as a part of the largest of all places of a channel, is 0: the transforms'
# rounding, up to a fifth of it, spreads over places that nothing reaches, and would pass a ReLU.
NOISE = np.float32(2.0**-20)


@host_kernel(TRANSFORM)
def fourier_transform(op: Record) -> None:
    """spectrum complex64[size_h, size_w / 2 + 1, C] = the transform of image[H, W, C].

    Where asked, of each number the conjugate. Parts take some of the channels.
    """
    image, spectrum = _arrays(op)
    sizes = (op.size_h, op.size_w)
    spectrum[...] = np.fft.rfft2(image, sizes, axes=(0, 1), norm=NORM)
    if op.conjugate:
        np.conjugate(spectrum, out=spectrum)


@host_kernel(TRANSFORM)
def fourier_back(op: Record) -> None:
    """image[H, W, C] = what a product of two transforms stands for, from (top, left) on.

    What is below NOISE of a channel's largest becomes 0. Times scale[C], plus bias[C], ReLU, where
    asked.
    """
    image, spectrum = _arrays(op)
    rows = np.fft.ifft(spectrum, axis=0, norm=NORM)[op.top : op.top + op.height]
    whole = np.fft.irfft(rows, op.size_w, axis=1, norm=NORM)
    largest = np.maximum(whole.max(axis=(0, 1)), -whole.min(axis=(0, 1)))
    inside = whole[:, op.left : op.left + op.width]
    inside[np.abs(inside) < NOISE * largest] = 0
    # Three transforms have a factor of 1 / sqrt(size) each, where 1 / size is due.
    np.multiply(inside, np.float32(sqrt(op.size_h * op.size_w)), out=image)
    finish(image, op, (op.channels,))


def _arrays(op: Record) -> tuple[np.ndarray, np.ndarray]:
    channels = share(op, op.channels)
    image = view(op.image, (op.height, op.width, op.channels))
    spectrum = view(op.spectrum, (op.size_h, op.size_w // 2 + 1, op.channels), np.complex64)
    return image[..., channels], spectrum[..., channels]


def good_size(least: int) -> int:
    """Return the smallest even product of 2, 3, 5 and 7 that is not below `least`."""
    size = least + least % 2
    while _without_small_factors(size) > 1:
        size += 2
    return size


def _without_small_factors(number: int) -> int:
    for factor in (2, 3, 5, 7):
        while number % factor == 0:
            number //= factor
    return number


def transform_cycles(height: int, width: int) -> float:
    """Estimate the cycles of one transform: 5 / 2 size log2(size) operations, two a cycle."""
    return 2.5 * height * width * log2(height * width) / 2
