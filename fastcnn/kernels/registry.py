"""A device's kernels by the same names in a package for each device, and what a strategy is."""

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
    package = f"fastcnn.kernels.{device}"
    paths = (f"nn.{name}" if name in IN_NN else name for name in Kernels._fields)
    return Kernels(*(import_module(f"{package}.{path}") for path in paths))


class Strategy(NamedTuple):
    """One way to compute a convolution y = x * kernel and its gradients.

    Args:
        name: What users call it, in `Conv2D(strategy=...)`.
        forward: forward(calls, problem, operands) emits the calls that compute y.
        dx: dx(calls, problem, dy, kernel, out) emits those of the gradient of x, into `out`.
        dw: dw(calls, problem, x, dy, gradient) emits those of the gradient of the kernel, summed
            over the batch.
        declines: declines(direction, problem) returns why a direction of a problem cannot be
            computed, or None. The emitters are called only where it returns None.
        cycles: cycles(direction, problem, images) estimates the cost of one image in a batch of so
            many: on a CPU the cycles of one thread, on a GPU nanoseconds.
        error: The largest error to expect anywhere in a result against exact arithmetic, relative
            to the result's largest magnitude; what is exactly 0 may have it too, where a strategy's
            file does not say otherwise.
        cycles_tf32: The same estimate in TF32; None where it is that of float32.
        automatic: Whether "auto" may choose it.

    Shape:
        x [N, H, W, C], kernel [KH, KW, C / groups, F], y [N, OH, OW, F]; a gradient has the shape
        of what it is the gradient of.
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
        """Return the estimate in a precision, in the unit of `cycles`.

        Args:
            direction: "forward", "dx" or "dw".
            problem: The convolution.
            images: Images of the batch.
            precision: FLOAT32 or TF32.
        """
        if precision == FLOAT32 or self.cycles_tf32 is None:
            return self.cycles(direction, problem, images)
        return self.cycles_tf32(direction, problem, images)

    def emitter(self, direction: str) -> Callable[..., None]:
        """Return what emits the calls of a direction."""
        return {"forward": self.forward, "dx": self.dx, "dw": self.dw}[direction]


def strategy(
    name: str, module: ModuleType, error: float, automatic: bool = True, **setting: int
) -> Strategy:
    """Return the strategy that a module implements.

    Args:
        name: What users call it.
        module: Has conv2d_<module>, conv2d_<module>_dx, conv2d_<module>_dw, declines, cycles, and
            perhaps cycles_tf32.
        error: See `Strategy`.
        automatic: See `Strategy`.
        **setting: Passed to all of these but `declines`: m=2 is the size of Winograd's tiles.
    """
    function = f"conv2d_{module.__name__.rpartition('.')[2]}"
    forward, dx, dw = (
        partial(getattr(module, function + direction), **setting)
        for direction in ("", "_dx", "_dw")
    )
    cycles = partial(module.cycles, **setting)
    cycles_tf32 = getattr(module, "cycles_tf32", None)
    return Strategy(name, forward, dx, dw, module.declines, cycles, error, cycles_tf32, automatic)
