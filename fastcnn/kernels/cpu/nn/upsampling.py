"""Enlarged images, of repeated or interpolated pixels, and their gradient."""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at
from fastcnn.kernels.cpu.simd.vector import fma, load, multiply, splat, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.kernels.shared import upsampling

SIZES = ("height", "width", "channels", "scale_h", "scale_w", "linear")
UPSAMPLE = record("x", "y", *SIZES)
UPSAMPLE_DX = record("dy", "dx", *SIZES)

ONE = np.float32(1)
_source, _share = kernel_function(upsampling.source), kernel_function(upsampling.share)
_first_reader = kernel_function(upsampling.first_reader)
_end_of_readers = kernel_function(upsampling.end_of_readers)


@kernel(UPSAMPLE)
def upsample(pointer):
    """y[SH * H, SW * W, C] = x[H, W, C] enlarged, of one image."""
    op = record_at(pointer)
    at = op.y
    for i in range(op.height * op.scale_h):
        top, bottom, down = _source(i, op.scale_h, op.height, op.linear)
        for j in range(op.width * op.scale_w):
            left, right, across = _source(j, op.scale_w, op.width, op.linear)
            upper = op.x + 4 * top * op.width * op.channels
            lower = op.x + 4 * bottom * op.width * op.channels
            left, right = 4 * left * op.channels, 4 * right * op.channels
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                value = load(upper + left + 4 * c, lanes)
                if op.linear:
                    value = multiply(value, splat((ONE - down) * (ONE - across)))
                    more = load(upper + right + 4 * c, lanes)
                    value = fma(more, splat((ONE - down) * across), value)
                    more = load(lower + left + 4 * c, lanes)
                    value = fma(more, splat(down * (ONE - across)), value)
                    value = fma(load(lower + right + 4 * c, lanes), splat(down * across), value)
                store(value, at + 4 * c, lanes)
            at += 4 * op.channels


@kernel(UPSAMPLE_DX)
def upsample_dx(pointer):
    """dx[H, W, C]: of each pixel the sum of dy, by the weights that it has, of one image."""
    op = record_at(pointer)
    row = 4 * op.width * op.scale_w * op.channels
    for h in range(op.height):
        top = _first_reader(h, op.scale_h, op.linear)
        bottom = _end_of_readers(h, op.scale_h, op.height, op.linear)
        for w in range(op.width):
            left = _first_reader(w, op.scale_w, op.linear)
            right = _end_of_readers(w, op.scale_w, op.width, op.linear)
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                total = splat(0.0)
                for i in range(top, bottom):
                    down = _share(i, h, op.scale_h, op.height, op.linear)
                    for j in range(left, right):
                        weight = down * _share(j, w, op.scale_w, op.width, op.linear)
                        at = op.dy + i * row + 4 * (j * op.channels + c)
                        total = fma(load(at, lanes), splat(weight), total)
                store(total, op.dx + 4 * ((h * op.width + w) * op.channels + c), lanes)
