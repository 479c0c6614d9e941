"""The launches that end a training step on the GPU: all parameters at once, on their flat arrays.

A launch for each parameter, as the CPU has calls, would cost more than the update itself.
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

if TYPE_CHECKING:
    from fastcnn.backends.step import StepSpec
    from fastcnn.graph.parameter import Parameter


def append_flat_update(
    low: Regions, spec: StepSpec, loss: Region, role: GradientRole
) -> tuple[dict[str, np.ndarray], tuple[float, ...]]:
    """Append the launches; return the arrays that they read and write besides the model's own, and
    the multipliers of the learning rate, a row of `hyper` each.

    parts int64 [parts, 3] are (parameter, first float, floats) of each block's share, spans int64
    [parameters, 2] (first part, parts) of each parameter, penalties float32 [parameters, 2] its
    (l1, l2), groups int64 [parameters] its row of `hyper`, all flat; sums, factors and totals are
    what one launch tells the next.
    """
    parameters, optimizer = trained_parameters(low.program), spec.optimizer
    groups = rate_groups(parameters, spec)
    training = low.kernels.optimizer_step
    spans = spans_of(parameters, training.PART)
    parts = _parts(parameters, training.PART)
    if role is not GradientRole.WHOLE:
        low.calls.label = "accumulate gradients"
        summand = role is GradientRole.SUMMAND
        low.calls.emit(
            training.accumulate_gradient if summand else training.mean_gradient,
            BATCH,
            "accumulated" if summand else "gradient",
            _named("accumulated", "control", "parts", gradient="gradients"),
            part_count=len(parts),
        )
    low.calls.label = "finish gradients"
    low.calls.emit(
        training.finish_gradient,
        BATCH,
        ("sums", "gradient"),
        _named("values", "penalties", "sums", parts="parts", gradient="gradients"),
        part_count=len(parts),
        clip=float(optimizer.clipvalue or 0.0),
    )
    low.calls.label = "check gradients"
    low.calls.emit(
        training.sum_parts,
        BATCH,
        ("sums",),
        _named("sums", "spans"),
        parameters=len(parameters),
    )
    low.calls.emit(
        training.check_gradients,
        BATCH,
        ("factors", "totals"),
        {**_named("sums", "spans", "control", "factors", "totals"), "loss": Address(loss)},
        parameters=len(parameters),
        clip_each=float(optimizer.clipnorm or 0.0),
        clip_all=float(optimizer.global_clipnorm or 0.0),
    )
    if role is not GradientRole.SUMMAND:
        low.calls.label = "update"
        low.calls.emit(
            update_kernel(optimizer, training.UPDATES),
            BATCH,
            ("values", "slots"),
            _named("values", "slots", "hyper", "groups", "factors", "parts", gradient="gradients"),
            part_count=len(parts),
            parameters=len(parameters),
        )
    moving = [parameter for parameter in spec.parameters if parameter.kind == "moving"]
    moving_parts = _parts(moving, training.PART)
    if optimizer.use_ema and role is not GradientRole.SUMMAND:
        low.calls.label = "average"
        for values, table, own in (
            ("values", "parts", parts),
            ("moving", "moving_parts", moving_parts),
        ):
            low.calls.emit(
                training.average_values,
                BATCH,
                ("values", "slots"),
                _named("slots", "control", "factors", values=values, parts=table),
                part_count=len(own),
                parameters=len(parameters),
                row=len(optimizer.slots),
                shift=0 if values == "values" else len(spec.state.values),
                momentum=float(optimizer.ema_momentum),
                overwritten=values == "values",
            )
    tables = {
        "parts": parts.ravel(),
        "moving_parts": moving_parts.ravel() if len(moving) else np.zeros(3, np.int64),
        "groups": groups.numbers if len(groups.numbers) else np.zeros(1, np.int64),
        "spans": spans.ravel(),
        "penalties": np.array(
            [_penalties(parameter) for parameter in parameters], np.float32
        ).ravel(),
        "sums": np.zeros(2 * len(parts)),
        "factors": np.ones(len(parameters) + 1, np.float32),
        "totals": np.zeros(2),
    }
    return tables, groups.multipliers


def _parts(parameters: list[Parameter], most: int) -> np.ndarray:
    """Cut the parameters into parts of at most so many floats, int64[parts, 3]."""
    parts = [
        (number, parameter.offset + at, min(most, parameter.size - at))
        for number, parameter in enumerate(parameters)
        for at in range(0, parameter.size, most)
    ]
    return np.array(parts, np.int64).reshape(-1, 3)


def _penalties(parameter: Parameter) -> tuple[float, float]:
    regularizer = parameter.regularizer
    return (regularizer.l1, regularizer.l2) if regularizer else (0.0, 0.0)


def _named(*same: str, **fields: str) -> dict[str, Region]:
    """Return whole arrays by the fields that take them: `same` are named like their fields."""
    names = {**{name: name for name in same}, **fields}
    return {field: Region(0, name, per_image=False) for field, name in names.items()}
