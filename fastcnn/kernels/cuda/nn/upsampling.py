"""Enlarged images, of repeated or interpolated pixels, and their gradient."""

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, inline, kernel
from fastcnn.kernels.shared import upsampling

ZERO, ONE = np.float32(0), np.float32(1)
_source, _share = inline(upsampling.source), inline(upsampling.share)
_first_reader = inline(upsampling.first_reader)
_end_of_readers = inline(upsampling.end_of_readers)


@kernel(per_image("height", "width", "channels", "scale_h", "scale_w"))
def upsample(
    count: Int, x: Floats, y: Floats, height: Int, width: Int, channels: Int, scale_h: Int,
    scale_w: Int, linear: Int,
):  # fmt: skip
    """y[SH * H, SW * W, C] = x[H, W, C] enlarged, of each image."""
    number, n, i, j, c = own_element(height * scale_h, width * scale_w, channels, count)
    top, bottom, down = _source(i, scale_h, height, linear)
    left, right, across = _source(j, scale_w, width, linear)
    while n < count:
        at = n * height * width * channels + c
        upper, lower = at + top * width * channels, at + bottom * width * channels
        value = x[upper + left * channels]
        if linear:
            value = value * ((ONE - down) * (ONE - across))
            value += x[upper + right * channels] * ((ONE - down) * across)
            value += x[lower + left * channels] * (down * (ONE - across))
            value += x[lower + right * channels] * (down * across)
        y[n * height * scale_h * width * scale_w * channels + number] = value
        n += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def upsample_dx(
    count: Int, dy: Floats, dx: Floats, height: Int, width: Int, channels: Int, scale_h: Int,
    scale_w: Int, linear: Int,
):  # fmt: skip
    """dx[H, W, C]: of each pixel the sum of dy, by the weights that it has, of each image."""
    number, n, h, w, c = own_element(height, width, channels, count)
    top, left = _first_reader(h, scale_h, linear), _first_reader(w, scale_w, linear)
    bottom = _end_of_readers(h, scale_h, height, linear)
    right = _end_of_readers(w, scale_w, width, linear)
    while n < count:
        total = ZERO
        for i in range(top, bottom):
            down = _share(i, h, scale_h, height, linear)
            at = (n * height * scale_h + i) * width * scale_w
            for j in range(left, right):
                weight = down * _share(j, w, scale_w, width, linear)
                total += dy[(at + j) * channels + c] * weight
        dx[n * height * width * channels + number] = total
        n += cuda.gridDim.y
