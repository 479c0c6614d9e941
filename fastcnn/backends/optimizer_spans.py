"""What the ends of a training step share on every device: the parameters that it updates, how they
are cut into parts, and the kernel that an optimizer names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from fastcnn.graph.program import Program
from fastcnn.kernels.shared.optimizers import SLOT_COUNTS
from fastcnn.utils import naming

if TYPE_CHECKING:
    from fastcnn.backends.step import StepSpec
    from fastcnn.graph.parameter import Parameter
    from fastcnn.optimizers import Optimizer

Kernel = TypeVar("Kernel")


class GradientRole(Enum):
    """What the gradient of a batch is for: an update; to be added to those of other batches; or, in
    a program without images, an update by the mean of all that were added."""

    WHOLE = "whole"
    SUMMAND = "summand"
    MEAN = "mean"


class RateGroups(NamedTuple):
    """Multipliers of the learning rate, and the number of each parameter's, int64 [parameters]."""

    multipliers: tuple[float, ...]
    numbers: np.ndarray


def trained_parameters(program: Program) -> list[Parameter]:
    """Return the parameters whose gradients a program produces, in the flat array's order."""
    by_offset = {
        op.parameters[name].offset: op.parameters[name]
        for op in program.ops
        for name in op.gradient_of
    }
    return [by_offset[offset] for offset in sorted(by_offset)]


def spans_of(parameters: Sequence[Parameter], most: int) -> np.ndarray:
    """Return (first part, parts) of each parameter, int64[parameters, 2].

    A part is at most so many floats.
    """
    parts = [ceil(parameter.size / most) for parameter in parameters]
    firsts = list(accumulate(parts, initial=0))[:-1]
    return np.array(list(zip(firsts, parts, strict=True)), np.int64).reshape(-1, 2)


def rate_groups(parameters: Sequence[Parameter], spec: StepSpec) -> RateGroups:
    """Return the multipliers of the learning rate that parameters have, each once, and for each
    parameter the number of its own."""
    own = [spec.rate_multiplier(parameter) for parameter in parameters]
    multipliers = tuple(dict.fromkeys(own)) or (1.0,)
    return RateGroups(multipliers, np.array([multipliers.index(m) for m in own], np.int64))


def update_kernel(optimizer: Optimizer, kernels: Mapping[str, Kernel]) -> Kernel:
    """Return the kernel that an optimizer names; ValueError where there is none, or where it works
    on another number of slots than the optimizer keeps."""
    owner = type(optimizer).__name__
    kernel = naming.entry(owner, "update kernel", optimizer.kernel, kernels)
    slots, expected = tuple(optimizer.slots), SLOT_COUNTS[optimizer.kernel]
    if len(slots) != expected:
        raise ValueError(
            f"{owner}: its update kernel '{optimizer.kernel}' works on {expected} slots. Received "
            f"slots = {slots}; name one for each."
        )
    return kernel
