"""The kernels at the end of a training step: finishing and checking the gradients, the updates.

They go through all parameters at once, on the flat arrays, a block a part: `parts` is
[parts, 3] with a part's parameter, its first float and its floats, at most PART of them. A
parameter's parts follow one another.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import (
    Doubles,
    Float,
    Floats,
    Int,
    Kernel,
    Longs,
    Rows,
    inline,
    kernel,
)
from fastcnn.kernels.cuda.runtime.reduction import block_sum, sum_rows
from fastcnn.kernels.shared import optimizers as update_functions

f32, f64 = np.float32, np.float64
ZERO, ONE = f32(0), f32(1)

PART = 1024  # floats of a block's share of an update, at most
THREADS = 256 if not SIMULATED else 32  # where each is a thread of the host, and they often meet
PAIRS = 2 * THREADS
GROUPS = 8  # parameters that `check_gradients` sums at once
LANES = THREADS // GROUPS  # threads of each
# Of a parameter's parts, each of which a block of `sum_parts` sums.
SHARES = 32 if not SIMULATED else 2

_accumulate = inline(update_functions.accumulate)
_mean = inline(update_functions.mean)
_average = inline(update_functions.average)
_clip_value = inline(update_functions.clip_value)
_scale = inline(update_functions.scale)
_add_penalty = inline(update_functions.add_penalty)
_penalty = inline(update_functions.penalty)


def _a_block_a_part(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return max(1, values["part_count"]), THREADS


def _update_kernel(name: str, function: Callable) -> Kernel:
    """Return the kernel update_<name>: gradients times their parameters' factors, then the step.

    `slots` is [slots, length of the flat arrays], `hyper` [rows, 8], of which groups[parameter] is
    the row of a parameter. Where factors[parameters] is 0 nothing changes.
    """
    function = inline(function)

    def update(
        parts: Longs,
        values: Floats,
        gradient: Floats,
        slots: Rows,
        hyper: Floats,
        groups: Longs,
        factors: Floats,
        parameters: Int,
        part_count: Int,
    ):
        part = cuda.blockIdx.x
        if part < part_count and factors[parameters] != ZERO:
            factor = factors[parts[3 * part]]
            first = parts[3 * part + 1] + cuda.threadIdx.x
            end = parts[3 * part + 1] + parts[3 * part + 2]
            own = gradient[first:end:THREADS]
            if factor != ONE:
                _scale(own, factor)
            row = 8 * groups[parts[3 * part]]
            numbers = hyper[row : row + 8]
            function(values[first:end:THREADS], own, slots[:, first:end:THREADS], numbers)

    update.__name__ = update.__qualname__ = f"update_{name}"
    return kernel(_a_block_a_part)(update)


UPDATES = {name: _update_kernel(name, f) for name, f in update_functions.UPDATE_KERNELS.items()}


@kernel(_a_block_a_part)
def accumulate_gradient(
    parts: Longs, gradient: Floats, accumulated: Floats, control: Longs, part_count: Int
):
    """Add the gradients to those of the control[1] batches before them, if control[0] is set."""
    part = cuda.blockIdx.x
    if part < part_count and control[0] != 0:
        first = parts[3 * part + 1] + cuda.threadIdx.x
        end = parts[3 * part + 1] + parts[3 * part + 2]
        _accumulate(accumulated[first:end:THREADS], gradient[first:end:THREADS], control[1])


@kernel(_a_block_a_part)
def mean_gradient(
    parts: Longs, gradient: Floats, accumulated: Floats, control: Longs, part_count: Int
):
    """Set the gradients to the mean of the control[1] batches that were accumulated."""
    part = cuda.blockIdx.x
    if part < part_count:
        first = parts[3 * part + 1] + cuda.threadIdx.x
        end = parts[3 * part + 1] + parts[3 * part + 2]
        _mean(gradient[first:end:THREADS], accumulated[first:end:THREADS], control[1])


@kernel(_a_block_a_part)
def average_values(
    parts: Longs, values: Floats, slots: Rows, control: Longs, factors: Floats, parameters: Int,
    part_count: Int, row: Int, shift: Int, momentum: Float, overwritten: Int,
):  # fmt: skip
    """Move the average, the slot `row` from `shift` on, by the values, if there was an update:
    begin it anew where control[2] is set, and overwrite the values where control[3] is and they
    may be."""
    part = cuda.blockIdx.x
    if part < part_count and factors[parameters] != ZERO:
        first = parts[3 * part + 1] + cuda.threadIdx.x
        end = parts[3 * part + 1] + parts[3 * part + 2]
        average = slots[row, shift + first : shift + end : THREADS]
        overwrites = control[3] != 0 and overwritten != 0
        _average(values[first:end:THREADS], average, momentum, control[2] != 0, overwrites)


@kernel(_a_block_a_part)
def finish_gradient(
    parts: Longs,
    values: Floats,
    gradient: Floats,
    sums: Doubles,
    penalties: Floats,
    clip: Float,
    part_count: Int,
):
    """Add the regularizer's gradient, clip values, and note sums [parts, 2]: of squares, and the
    penalty. `penalties` is [parameters, 2], (l1, l2)."""
    shared = cuda.shared.array(PAIRS, f64)  # as they go into sums
    thread, part = cuda.threadIdx.x, cuda.blockIdx.x
    if part >= part_count:
        return
    parameter = parts[3 * part]
    l1, l2 = penalties[2 * parameter], penalties[2 * parameter + 1]
    first = parts[3 * part + 1]
    end = first + parts[3 * part + 2]
    own = gradient[first + thread : end : THREADS]
    penalty = 0.0
    if l1 > ZERO or l2 > ZERO:
        weights = values[first + thread : end : THREADS]
        _add_penalty(weights, own, l1, l2)
        penalty = _penalty(weights, l1, l2)
    if clip > ZERO:
        _clip_value(own, clip)
    squares = ZERO
    for i in range(own.size):
        squares += own[i] * own[i]
    shared[2 * thread], shared[2 * thread + 1] = squares, penalty
    sum_rows(shared, thread, 2)
    if thread == 0:
        sums[2 * part], sums[2 * part + 1] = shared[0], shared[1]


@inline
def _distance(parts):
    """Return how many of a parameter's parts make a share."""
    return (parts + SHARES - 1) // SHARES


@kernel(lambda count, values: ((max(1, values["parameters"]), SHARES), THREADS))
def sum_parts(sums: Doubles, spans: Longs, parameters: Int):
    """Put the sum of each share of a parameter's parts in the place of its first part, so that the
    single block of `check_gradients` finds few."""
    shared = cuda.shared.array(PAIRS, f64)
    thread, p = cuda.threadIdx.x, cuda.blockIdx.x
    if p >= parameters:
        return
    each = _distance(spans[2 * p + 1])
    start = spans[2 * p] + cuda.blockIdx.y * each
    end = min(start + each, spans[2 * p] + spans[2 * p + 1])
    if end - start <= 1:
        return
    shared[2 * thread], shared[2 * thread + 1] = 0.0, 0.0
    for part in range(start + thread, end, THREADS):
        shared[2 * thread] += sums[2 * part]
        shared[2 * thread + 1] += sums[2 * part + 1]
    sum_rows(shared, thread, 2)
    if thread == 0:
        sums[2 * start], sums[2 * start + 1] = shared[0], shared[1]


@kernel(lambda count, values: (1, THREADS))
def check_gradients(
    count: Int, sums: Doubles, spans: Longs, control: Longs, loss: Floats, factors: Floats,
    totals: Doubles, parameters: Int, clip_each: Float, clip_all: Float,
):  # fmt: skip
    """Decide whether the step may update, and by which factor each gradient is clipped.

    spans is [parameters, 2], (first part, parts), whose sums `sum_parts` has made few. factors[p]
    scales parameter p's gradient; factors[parameters] is 1 where every loss and gradient is finite
    and control[0] is set, else 0.
    totals = (sum of squares, penalty). Keras's rule: g * clip / max(norm, clip).
    """
    shared, thread = cuda.shared.array(THREADS, f64), cuda.threadIdx.x
    lane, group = thread // GROUPS, thread % GROUPS
    squares, penalty, losses = 0.0, 0.0, 0.0
    limit = f64(clip_each)
    for start in range(0, parameters, GROUPS):
        p = start + group
        own = 0.0
        if p < parameters:
            each = _distance(spans[2 * p + 1])
            end = spans[2 * p] + spans[2 * p + 1]
            for part in range(spans[2 * p] + lane * each, end, LANES * each):
                own += sums[2 * part]
                penalty += sums[2 * part + 1]
        shared[thread] = own
        sum_rows(shared, thread, GROUPS)
        if lane == 0 and p < parameters:
            own = shared[group]
            squares += own
            factors[p] = limit / max(math.sqrt(own), limit) if limit > 0.0 else 1.0
        cuda.syncthreads()
    for image in range(thread, count, THREADS):
        losses += f64(loss[image])
    squares = block_sum(shared, thread, squares)
    penalty = block_sum(shared, thread, penalty)
    losses = block_sum(shared, thread, losses)
    limit = f64(clip_all)
    if limit > 0.0:
        for p in range(thread, parameters, THREADS):
            factors[p] = limit / max(math.sqrt(squares), limit)
    if thread == 0:
        totals[0], totals[1] = squares, penalty
        fine = math.isfinite(squares) and math.isfinite(losses) and math.isfinite(penalty)
        factors[parameters] = 1.0 if fine and control[0] != 0 else 0.0
