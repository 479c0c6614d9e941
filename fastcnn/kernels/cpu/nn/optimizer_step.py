"""The kernels at the end of a training step: finishing and checking the gradients, the updates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import Kernel, kernel, record
from fastcnn.kernels.cpu.simd.pointers import doubles, float_rows, floats, longs, record_at
from fastcnn.kernels.cpu.simd.vector import add, fma, load, splat, sum_of_lanes
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.kernels.lazy_numba import register_jitable
from fastcnn.kernels.shared import optimizers as update_functions

FINISH = record("values", "gradient", "sums", "size", "l1", "l2", "clip", "parts")
CHECK = record(
    *("sums", "spans", "control", "loss", "loss_stride", "factors", "totals"),
    *("parameters", "clip_each", "clip_all"),
)
UPDATE = record(
    *("values", "gradient", "slots", "hyper", "factors", "status"),
    *("size", "slot_count", "slot_stride", "parts"),
)
ACCUMULATE = record("gradient", "accumulated", "control", "size", "parts")
AVERAGE = record(
    *("values", "average", "control", "status", "size", "momentum", "overwritten", "parts")
)
PART = 16384  # floats of one part of an update

_jitable = register_jitable(error_model="numpy")
_accumulate = _jitable(update_functions.accumulate)
_mean = _jitable(update_functions.mean)
_average = _jitable(update_functions.average)
_clip_value = _jitable(update_functions.clip_value)
_scale = _jitable(update_functions.scale)
_add_penalty = _jitable(update_functions.add_penalty)
_penalty = _jitable(update_functions.penalty)


def _update_kernel(name: str, function: Callable) -> Kernel:
    function = _jitable(function)

    def update(pointer):
        op = record_at(pointer)
        if floats(op.status, 1)[0] == 0:
            return
        low, high = op.size * op.first // op.parts, op.size * (op.first + 1) // op.parts
        values, gradient = (
            floats(op.values, op.size)[low:high],
            floats(op.gradient, op.size)[low:high],
        )
        slots = float_rows(op.slots + 4 * low, op.slot_count, op.slot_stride)
        factor = floats(op.factors, 1)[0]
        if factor != 1:
            _scale(gradient, factor)
        function(values, gradient, slots, floats(op.hyper, 8))

    update.__name__ = update.__qualname__ = f"update_{name}"
    return kernel(UPDATE)(update)


UPDATES = {name: _update_kernel(name, f) for name, f in update_functions.UPDATE_KERNELS.items()}


@kernel(ACCUMULATE)
def accumulate_gradient(pointer):
    """Add the gradient to those of the control[1] batches before it, if control[0] is set."""
    op = record_at(pointer)
    control = longs(op.control, 2)
    if control[0]:
        low, high = op.size * op.first // op.parts, op.size * (op.first + 1) // op.parts
        gradient = floats(op.gradient, op.size)[low:high]
        _accumulate(floats(op.accumulated, op.size)[low:high], gradient, control[1])


@kernel(ACCUMULATE)
def mean_gradient(pointer):
    """Set the gradient to the mean of the control[1] batches that were accumulated."""
    op = record_at(pointer)
    low, high = op.size * op.first // op.parts, op.size * (op.first + 1) // op.parts
    gradient = floats(op.gradient, op.size)[low:high]
    _mean(gradient, floats(op.accumulated, op.size)[low:high], longs(op.control, 2)[1])


@kernel(AVERAGE)
def average_values(pointer):
    """Move the average by the values, if there was an update: begin it anew where control[2] is
    set, and overwrite the values where control[3] is and they may be."""
    op = record_at(pointer)
    if floats(op.status, 1)[0] == 0:
        return
    control = longs(op.control, 4)
    low, high = op.size * op.first // op.parts, op.size * (op.first + 1) // op.parts
    values = floats(op.values, op.size)[low:high]
    average = floats(op.average, op.size)[low:high]
    overwrites = control[3] != 0 and op.overwritten != 0
    _average(values, average, as_float(op.momentum), control[2] != 0, overwrites)


@kernel_function
def _sum_of_squares(address, size):
    """Return the sum of squares of float32[size]; lane by lane in float32, the lanes in float64."""
    even, odd = splat(0.0), splat(0.0)
    for i in range(0, size, 2 * LANES):
        first = load(address + 4 * i, min(LANES, size - i))
        second = load(address + 4 * (i + LANES), max(0, min(LANES, size - i - LANES)))
        even, odd = fma(first, first, even), fma(second, second, odd)
    return sum_of_lanes(add(even, odd))


@kernel(FINISH)
def finish_gradient(pointer):
    """Add the regularizer's gradient, clip values, and note the sum of squares and the penalty."""
    op = record_at(pointer)
    low, high = op.size * op.first // op.parts, op.size * (op.first + 1) // op.parts
    values, gradient = floats(op.values, op.size)[low:high], floats(op.gradient, op.size)[low:high]
    sums = doubles(op.sums, 2 * op.parts)
    l1, l2, clip = as_float(op.l1), as_float(op.l2), as_float(op.clip)
    sums[2 * op.first + 1] = 0.0
    if l1 > 0 or l2 > 0:
        _add_penalty(values, gradient, l1, l2)
        sums[2 * op.first + 1] = _penalty(values, l1, l2)
    if clip > 0:
        _clip_value(gradient, clip)
    sums[2 * op.first] = _sum_of_squares(op.gradient + 4 * low, high - low)


@kernel(CHECK)
def check_gradients(pointer):
    """Decide whether the step may update, and by which factor each gradient is clipped.

    factors[p] scales parameter p's gradient; factors[parameters] is 1 where every loss and gradient
    is finite and control[0] is set, else 0. totals = (sum of squares, penalty). Keras's rule: g *
    clip / max(norm, clip).
    """
    op = record_at(pointer)
    spans = longs(op.spans, 2 * op.parameters)
    factors = floats(op.factors, op.parameters + 1)
    totals = doubles(op.totals, 2)
    limit = np.float64(as_float(op.clip_each))
    squares, penalty, losses = 0.0, 0.0, 0.0
    for p in range(op.parameters):
        own = 0.0
        for part in range(spans[2 * p], spans[2 * p] + spans[2 * p + 1]):
            sums = doubles(op.sums + 16 * part, 2)
            own += sums[0]
            penalty += sums[1]
        squares += own
        factors[p] = limit / max(math.sqrt(own), limit) if limit > 0 else 1.0
    limit = np.float64(as_float(op.clip_all))
    if limit > 0:
        factors[: op.parameters] = limit / max(math.sqrt(squares), limit)
    for image in range(op.count):
        losses += np.float64(floats(op.loss + image * op.loss_stride, 1)[0])
    totals[0], totals[1] = squares, penalty
    fine = math.isfinite(squares) and math.isfinite(losses) and math.isfinite(penalty)
    factors[op.parameters] = 1.0 if fine and longs(op.control, 1)[0] else 0.0
