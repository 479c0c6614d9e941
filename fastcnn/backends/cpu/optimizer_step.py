"""The calls that end a training step: finish each gradient, check them all, update the weights.

Where several batches make one update, each of them ends in a sum, and a program of its own updates
by their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastcnn.backends.lowering import Regions
from fastcnn.backends.optimizer_spans import (
    GradientRole,
    rate_groups,
    spans_of,
    trained_parameters,
    update_kernel,
)
from fastcnn.kernels.call import BATCH, Address, Region
from fastcnn.kernels.cpu.nn import optimizer_step

if TYPE_CHECKING:
    from fastcnn.backends.step import StepSpec
    from fastcnn.graph.parameter import Parameter
    from fastcnn.kernels.cpu.runtime.kernel import Kernel
    from fastcnn.optimizers import Optimizer


def append_update(
    low: Regions, spec: StepSpec, loss: Region, slot_stride: int, role: GradientRole
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Append the calls; returns the spans (first part, parts) of each trained parameter, and the
    multipliers of the learning rate, a row of `hyper` each.

    `loss` holds each image's loss, `slot_stride` is the length of one optimizer slot in floats.
    """
    before = len(low.calls.emitted)
    result = _appended(low, spec, loss, slot_stride, role)
    for call in low.calls.emitted[before:]:
        call.whole = True
    return result


def _appended(
    low: Regions, spec: StepSpec, loss: Region, slot_stride: int, role: GradientRole
) -> tuple[np.ndarray, tuple[float, ...]]:
    parameters, optimizer = trained_parameters(low.program), spec.optimizer
    spans = spans_of(parameters, optimizer_step.PART)
    groups = rate_groups(parameters, spec)
    finished = []
    for parameter, (first, parts) in zip(parameters, spans.tolist(), strict=True):
        if role is GradientRole.SUMMAND:
            _accumulate(low, parameter, optimizer_step.accumulate_gradient, "accumulated", parts)
        elif role is GradientRole.MEAN:
            _accumulate(low, parameter, optimizer_step.mean_gradient, "gradient", parts)
        sums = Region(16 * parts, "sums", 16 * first, False)
        _finish(low, parameter, optimizer.clipvalue or 0.0, sums, parts)
        finished.append(sums)
    factors = Region(4 * (len(parameters) + 1), "factors", per_image=False)
    _check(low, optimizer, loss, factors, len(parameters), tuple(finished))
    if role is GradientRole.SUMMAND:
        return spans, groups.multipliers
    for number, (parameter, parts) in enumerate(zip(parameters, spans[:, 1].tolist(), strict=True)):
        hyper = Region(32, "hyper", 32 * int(groups.numbers[number]), per_image=False)
        factor = Address(factors, 4 * number)
        status = Address(factors, 4 * len(parameters))
        _update(low, parameter, optimizer, hyper, factor, status, parts, slot_stride)
    if optimizer.use_ema:
        row = 4 * slot_stride * len(optimizer.slots)
        moving = [parameter for parameter in spec.parameters if parameter.kind == "moving"]
        for parameter in (*parameters, *moving):
            shift = 4 * len(spec.state.values) if parameter.kind == "moving" else 0
            average = Region(0, "slots", row + shift + 4 * parameter.offset, False)
            status = Address(factors, 4 * len(parameters))
            _average(low, parameter, optimizer.ema_momentum, average, status)
    return spans, groups.multipliers


def _accumulate(
    low: Regions, parameter: Parameter, kernel: Kernel, writes: str, parts: int
) -> None:
    low.calls.label = f"accumulate {parameter.path}"
    low.calls.emit(
        kernel,
        BATCH,
        writes,
        {
            "gradient": low.parameter(parameter, "gradients"),
            "accumulated": low.parameter(parameter, "accumulated"),
            "control": Region(0, "control", per_image=False),
        },
        parts=parts,
        size=parameter.size,
    )


def _average(
    low: Regions, parameter: Parameter, momentum: float, average: Region, status: Address
) -> None:
    low.calls.label = f"average {parameter.path}"
    low.calls.emit(
        optimizer_step.average_values,
        BATCH,
        ("values", "average"),
        {
            "values": low.parameter(parameter),
            "average": average,
            "control": Region(0, "control", per_image=False),
            "status": status,
        },
        parts=-(-parameter.size // optimizer_step.PART),
        size=parameter.size,
        momentum=float(momentum),
        overwritten=parameter.kind == "weight",
    )


def _finish(low: Regions, parameter: Parameter, clip: float, sums: Region, parts: int) -> None:
    regularizer = parameter.regularizer
    low.calls.label = f"finish {parameter.path}"
    low.calls.emit(
        optimizer_step.finish_gradient,
        BATCH,
        ("sums", "gradient"),
        {
            "values": low.parameter(parameter),
            "gradient": low.parameter(parameter, "gradients"),
            "sums": sums,
        },
        parts=parts,
        size=parameter.size,
        l1=float(regularizer.l1) if regularizer else 0.0,
        l2=float(regularizer.l2) if regularizer else 0.0,
        clip=float(clip),
    )


def _check(
    low: Regions,
    optimizer: Optimizer,
    loss: Region,
    factors: Region,
    parameters: int,
    finished: tuple[Region, ...],
) -> None:
    low.calls.label = "check gradients"
    check = low.calls.emit(
        optimizer_step.check_gradients,
        BATCH,
        ("factors", "totals"),
        {
            "sums": Region(0, "sums", per_image=False),
            "spans": Region(0, "spans", per_image=False),
            "control": Region(0, "control", per_image=False),
            "loss": loss,
            "factors": factors,
            "totals": Region(16, "totals", per_image=False),
        },
        loss_stride=loss.stride,
        parameters=parameters,
        clip_each=float(optimizer.clipnorm or 0.0),
        clip_all=float(optimizer.global_clipnorm or 0.0),
    )
    check.after = finished


def _update(
    low: Regions,
    parameter: Parameter,
    optimizer: Optimizer,
    hyper: Region,
    factor: Address,
    status: Address,
    parts: int,
    slot_stride: int,
) -> None:
    slots = Region(0, "slots", 4 * parameter.offset, False)
    low.calls.label = f"update {parameter.path}"
    low.calls.emit(
        update_kernel(optimizer, optimizer_step.UPDATES),
        BATCH,
        ("values",),
        {
            "values": low.parameter(parameter),
            "gradient": low.parameter(parameter, "gradients"),
            "slots": slots,
            "hyper": hyper,
            "factors": factor,
            "status": status,
        },
        parts=parts,
        size=parameter.size,
        slot_count=len(optimizer.slots),
        slot_stride=slot_stride,
    )
