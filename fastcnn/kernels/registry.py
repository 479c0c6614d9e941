"""A device's kernels by the same names in a room for each device, and what a strategy is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from fastcnn.graph.problem import Problem

DIRECTIONS = ("forward", "dx", "dw")
FLOAT32, TF32 = "float32", "tf32"  # precisions


class Kernels(NamedTuple):
    """The modules of one device that ops are lowered to."""

    activation: ModuleType
    bias: ModuleType
    conv: ModuleType
    dense: ModuleType
    layout: ModuleType
    normalization: ModuleType
    pooling: ModuleType
    train_step: ModuleType


IN_NN = {"activation", "bias", "dense", "normalization", "pooling", "train_step"}


def kernels_of(device: str) -> Kernels:
    """Return the kernels of "cpu" or "cuda"."""
    room = f"fastcnn.kernels.{device}"
    paths = (f"nn.{name}" if name in IN_NN else name for name in Kernels._fields)
    return Kernels(*(import_module(f"{room}.{path}") for path in paths))


class Strategy(NamedTuple):
    """One way to compute a convolution.

    forward(calls, problem, operands), dx(calls, problem, dy, kernel, out)
    and dw(calls, problem, x, dy, gradient) emit calls. `declines` gives the reason why a direction
    of a problem cannot be done, or None. `cycles` estimates what one image of a batch of so many
    costs, in a unit that a device's strategies share: cycles of one thread of a CPU, nanoseconds of
    a GPU; `cycles_tf32` does so in that precision, None where it is the same. `error` is the
    largest error to expect anywhere in a result against exact arithmetic, relative to the result's
    largest magnitude; what is exactly 0 may have it too, where a strategy's file does not say
    otherwise. Only what is `automatic` is ever chosen by "auto".
    """

    name: str
    forward: Callable[..., None]
    dx: Callable[..., None]
    dw: Callable[..., None]
    declines: Callable[[str, Problem], str | None]
    cycles: Callable[[str, Problem, int], float]
    error: float
    cycles_tf32: Callable[[str, Problem, int], float] | None = None
    automatic: bool = True

    def cost(
        self, direction: str, problem: Problem, images: int, precision: str = FLOAT32
    ) -> float:
        """Return the estimate of a precision."""
        if precision == FLOAT32 or self.cycles_tf32 is None:
            return self.cycles(direction, problem, images)
        return self.cycles_tf32(direction, problem, images)

    def emitter(self, direction: str) -> Callable[..., None]:
        """Return what emits the calls of a direction."""
        return {"forward": self.forward, "dx": self.dx, "dw": self.dw}[direction]


def strategy(
    name: str, module: ModuleType, error: float, automatic: bool = True, **setting: int
) -> Strategy:
    """Return the strategy that stands in a module; `setting` is passed to its functions."""
    function = f"conv2d_{module.__name__.rpartition('.')[2]}"
    forward, dx, dw = (
        partial(getattr(module, function + direction), **setting)
        for direction in ("", "_dx", "_dw")
    )
    cycles = partial(module.cycles, **setting)
    cycles_tf32 = getattr(module, "cycles_tf32", None)
    return Strategy(name, forward, dx, dw, module.declines, cycles, error, cycles_tf32, automatic)
