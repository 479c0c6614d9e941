"""Normalization of each image by itself: of groups of its channels, or of the numbers of a row.

An image is [rows, P, groups, W], pixels of channels in groups of W. Each group of a row, P x W
numbers, is normalized by its own mean and variance, and each channel has a gamma and a beta. Layer
normalization is the case of one pixel and one group a row, group normalization that of one row.
Every sum is of one image, in an order of its own: the same bits for any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import (
    add,
    first_lanes,
    fma,
    load,
    multiply,
    splat,
    store,
    sum_of_lanes,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES

SIZES = ("rows", "pixels", "groups", "width")
GROUP_NORM = record("x", "gamma", "beta", "y", "moments", *SIZES, "epsilon")
GROUP_NORM_PRODUCTS = record("x", "dy", "moments", "products", *SIZES)
GROUP_NORM_DX = record("x", "dy", "gamma", "moments", "dx", *SIZES)

f32 = np.float32


@kernel_function
def _sum(op, at):
    """Return the sum of the group at an address."""
    step, total = 4 * op.groups * op.width, splat(0.0)
    for c in range(0, op.width, LANES):
        lanes, place = min(LANES, op.width - c), at + 4 * c
        for _ in range(op.pixels):
            total = add(total, load(place, lanes))
            place += step
    return sum_of_lanes(total)


@kernel_function
def _sum_of_squares(op, at, mean):
    """Return the sum of squared differences to a mean, of the group at an address."""
    step, total, below = 4 * op.groups * op.width, splat(0.0), splat(-mean)
    for c in range(0, op.width, LANES):
        lanes, place = min(LANES, op.width - c), at + 4 * c
        for _ in range(op.pixels):
            difference = first_lanes(add(load(place, lanes), below), lanes)
            total = fma(difference, difference, total)
            place += step
    return sum_of_lanes(total)


@kernel_function
def _group_of(op, number):
    """Return which of a row's groups has a number among all, and how far on it starts, in bytes."""
    row, group = number // op.groups, number % op.groups
    return group, 4 * (row * op.pixels * op.groups + group) * op.width


@kernel(GROUP_NORM)
def group_norm(pointer):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta; moments [rows, groups, 2] become
    the means and 1 / sqrt(variance + epsilon)."""
    op = record_at(pointer)
    moments = floats(op.moments, 2 * op.rows * op.groups)
    step, size = 4 * op.groups * op.width, op.pixels * op.width
    for number in range(op.rows * op.groups):
        group, start = _group_of(op, number)
        mean = f32(_sum(op, op.x + start) / size)
        variance = _sum_of_squares(op, op.x + start, mean) / size
        inverse = f32(1.0 / math.sqrt(variance + as_float(op.epsilon)))
        moments[2 * number], moments[2 * number + 1] = mean, inverse
        below, unit = splat(-mean), splat(inverse)
        for c in range(0, op.width, LANES):
            lanes, channel = min(LANES, op.width - c), 4 * (group * op.width + c)
            scale = multiply(load(op.gamma + channel, lanes), unit) if op.gamma else unit
            shift = load(op.beta + channel, lanes) if op.beta else splat(0.0)
            at = start + 4 * c
            for _ in range(op.pixels):
                difference = add(load(op.x + at, lanes), below)
                store(fma(difference, scale, shift), op.y + at, lanes)
                at += step


@kernel(GROUP_NORM_PRODUCTS)
def group_norm_products(pointer):
    """products = dy * (x - mean) / sqrt(variance + epsilon), whose sums are gamma's gradient."""
    op = record_at(pointer)
    moments = floats(op.moments, 2 * op.rows * op.groups)
    step = 4 * op.groups * op.width
    for number in range(op.rows * op.groups):
        _, start = _group_of(op, number)
        below, unit = splat(-moments[2 * number]), splat(moments[2 * number + 1])
        for c in range(0, op.width, LANES):
            lanes, at = min(LANES, op.width - c), start + 4 * c
            for _ in range(op.pixels):
                normalized = multiply(add(load(op.x + at, lanes), below), unit)
                store(multiply(load(op.dy + at, lanes), normalized), op.products + at, lanes)
                at += step


@kernel(GROUP_NORM_DX)
def group_norm_dx(pointer):
    """dx = (g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon), where g = gamma * dy, n is x
    normalized, and the means are over the group."""
    op = record_at(pointer)
    moments = floats(op.moments, 2 * op.rows * op.groups)
    step, size = 4 * op.groups * op.width, op.pixels * op.width
    for number in range(op.rows * op.groups):
        group, start = _group_of(op, number)
        below, unit = splat(-moments[2 * number]), splat(moments[2 * number + 1])
        total, product = splat(0.0), splat(0.0)
        for c in range(0, op.width, LANES):
            lanes, channel = min(LANES, op.width - c), 4 * (group * op.width + c)
            gamma = load(op.gamma + channel, lanes) if op.gamma else splat(1.0)
            at = start + 4 * c
            for _ in range(op.pixels):
                slope = multiply(gamma, load(op.dy + at, lanes))
                normalized = multiply(add(load(op.x + at, lanes), below), unit)
                total, product = add(total, slope), fma(slope, normalized, product)
                at += step
        mean = splat(f32(-sum_of_lanes(total) / size))
        share = splat(f32(-sum_of_lanes(product) / size))
        for c in range(0, op.width, LANES):
            lanes, channel = min(LANES, op.width - c), 4 * (group * op.width + c)
            gamma = load(op.gamma + channel, lanes) if op.gamma else splat(1.0)
            at = start + 4 * c
            for _ in range(op.pixels):
                normalized = multiply(add(load(op.x + at, lanes), below), unit)
                slope = fma(gamma, load(op.dy + at, lanes), fma(normalized, share, mean))
                store(multiply(slope, unit), op.dx + at, lanes)
                at += step
