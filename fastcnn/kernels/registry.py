"""A device's kernels by the same names in a package for each device, and what a strategy is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from math import inf
from types import ModuleType
from typing import NamedTuple, Protocol

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands, Region

DIRECTIONS = ("forward", "dx", "dw")
FLOAT32, TF32 = "float32", "tf32"  # precisions


class Kernels(NamedTuple):
    """The modules of one device that ops are lowered to."""

    activation: ModuleType
    activation_functions: ModuleType
    affine_sampling: ModuleType
    bias: ModuleType
    contrast_normalization: ModuleType
    conv: ModuleType
    dense: ModuleType
    gating: ModuleType
    group_normalization: ModuleType
    host_function: ModuleType
    layout: ModuleType
    local_normalization: ModuleType
    locally_connected: ModuleType
    losses: ModuleType
    norm_pooling: ModuleType
    normalization: ModuleType
    optimizer_step: ModuleType
    pooling: ModuleType
    prelu: ModuleType
    upsampling: ModuleType
    user_function: ModuleType


OUTSIDE_NN = ("conv", "layout")


def kernels_of(device: str) -> Kernels:
    """Return the kernels of "cpu" or "cuda"."""
    package = f"fastcnn.kernels.{device}"
    paths = (name if name in OUTSIDE_NN else f"nn.{name}" for name in Kernels._fields)
    return Kernels(*(import_module(f"{package}.{path}") for path in paths))


class EmitForward(Protocol):
    """Emits the calls that compute y = relu(scale * (x * kernel) + bias)."""

    def __call__(self, calls: Calls, problem: Problem, operands: LayerOperands) -> None:
        """Emit the calls.

        Args:
            calls: Where the calls go.
            problem: The convolution of one image.
            operands: x, kernel and y, and what is done to y: bias, scale, ReLU. `scale` multiplies
                each filter, of the kernel or of the result.

        Shape:
            x [H, W, C], kernel [KH, KW, C / groups, F], y [OH, OW, F] of each image.
        """


class EmitInputGradient(Protocol):
    """Emits the calls that compute the gradient of x."""

    def __call__(
        self, calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
    ) -> None:
        """Emit the calls.

        Args:
            calls: Where the calls go.
            problem: The convolution of one image.
            dy: The gradient of y.
            kernel: The kernel.
            out: Becomes the gradient of x.

        Shape:
            dy [OH, OW, F], kernel [KH, KW, C / groups, F], out [H, W, C] of each image.
        """


class EmitKernelGradient(Protocol):
    """Emits the calls that compute the gradient of the kernel."""

    def __call__(
        self, calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
    ) -> None:
        """Emit the calls.

        Args:
            calls: Where the calls go.
            problem: The convolution of one image.
            x: The images.
            dy: The gradient of y.
            gradient: Becomes the gradient of the kernel, summed over the batch.

        Shape:
            x [H, W, C], dy [OH, OW, F] of each image; gradient [KH, KW, C / groups, F].
        """


class Strategy(NamedTuple):
    """One way to compute a convolution y = x * kernel and its gradients.

    Args:
        name: What users call it, in `Conv2D(strategy=...)`.
        forward: Emits the calls that compute y.
        dx: Emits those of the gradient of x.
        dw: Emits those of the gradient of the kernel, summed over the batch.
        declines: declines(direction, problem) returns why a direction of a problem cannot be
            computed, or None. The emitters are called only where it returns None.
        cycles: cycles(direction, problem, images) estimates the cost of one image in a batch of so
            many: on a CPU the cycles of one thread, on a GPU nanoseconds.
        error: The largest error to expect anywhere in a result against exact arithmetic, relative
            to the result's largest magnitude; what is exactly 0 may have it too, where a strategy's
            file does not say otherwise.
        preparation: preparation(direction, problem) estimates what comes once a batch and before
            it, where the weights have changed: the kernel's transform. In the unit of `cycles`,
            which does not have it; None where it is little.
        cycles_tf32: The same estimate in TF32; None where it is that of float32.
        automatic: Whether "auto" may choose it.

    Shape:
        x [N, H, W, C], kernel [KH, KW, C / groups, F], y [N, OH, OW, F]; a gradient has the shape
        of what it is the gradient of.
    """

    name: str
    forward: EmitForward
    dx: EmitInputGradient
    dw: EmitKernelGradient
    declines: Callable[[str, Problem], str | None]
    cycles: Callable[[str, Problem, int], float]
    error: float
    preparation: Callable[[str, Problem], float] | None = None
    cycles_tf32: Callable[[str, Problem, int], float] | None = None
    automatic: bool = True

    def cost(
        self,
        direction: str,
        problem: Problem,
        images: int,
        precision: str = FLOAT32,
        prepared: bool = False,
    ) -> float:
        """Return the estimate in a precision, in the unit of `cycles`.

        Args:
            direction: "forward", "dx" or "dw".
            problem: The convolution.
            images: Images of the batch.
            precision: FLOAT32 or TF32.
            prepared: Whether the weights stay as they are from batch to batch.
        """
        estimate = self.cycles
        if precision != FLOAT32 and self.cycles_tf32 is not None:
            estimate = self.cycles_tf32
        once = 0.0 if prepared or self.preparation is None else self.preparation(direction, problem)
        return estimate(direction, problem, images) + once / images

    def emitter(self, direction: str) -> Callable[..., None]:
        """Return what emits the calls of a direction."""
        emitters: dict[str, Callable[..., None]] = {
            "forward": self.forward,
            "dx": self.dx,
            "dw": self.dw,
        }
        return emitters[direction]


def table(*strategies: Strategy) -> dict[str, Strategy]:
    """Return a device's strategies by their names."""
    return {entry.name: entry for entry in strategies}


def strategy(
    name: str, module: ModuleType, error: float, automatic: bool = True, **setting: int
) -> Strategy:
    """Return the strategy that a module implements.

    Args:
        name: What users call it.
        module: Has conv2d_<module>, conv2d_<module>_dx and conv2d_<module>_dw, which are an
            `EmitForward`, `EmitInputGradient` and `EmitKernelGradient`; cycles, but for those that
            are not automatic; declines, where it does not take every problem; and perhaps
            preparation and cycles_tf32.
        error: See `Strategy`.
        automatic: See `Strategy`.
        **setting: Passed to all of these: m=2 is the size of Winograd's tiles.
    """
    function = f"conv2d_{module.__name__.rpartition('.')[2]}"
    forward, dx, dw = (
        partial(getattr(module, function + direction), **setting)
        for direction in ("", "_dx", "_dw")
    )
    declines = partial(getattr(module, "declines", _declines_nothing), **setting)
    estimate: Callable[..., float] = module.cycles if automatic else _never_cheap
    cycles = partial(estimate, **setting)
    preparation = getattr(module, "preparation", None)
    return Strategy(
        *(name, forward, dx, dw, declines, cycles, error),
        preparation=preparation and partial(preparation, **setting),
        cycles_tf32=getattr(module, "cycles_tf32", None),
        automatic=automatic,
    )


def _declines_nothing(direction: str, problem: Problem, **setting: int) -> str | None:
    return None


def _never_cheap(direction: str, problem: Problem, images: int, **setting: int) -> float:
    return inf
