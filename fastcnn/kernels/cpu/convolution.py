"""The CPU's strategies: ways to compute a convolution and its gradients, in a table.

Each stands in a file of its own, `conv_<name>.py`, as three functions that emit calls. A strategy
declines what it cannot do with a reason in words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from fastcnn.kernels.cpu import (
    conv_direct,
    conv_fft,
    conv_im2col,
    conv_im2col_blas,
    conv_winograd,
)
from fastcnn.problem import Problem

DIRECTIONS = ("forward", "dx", "dw")


class Strategy(NamedTuple):
    """One way to compute a convolution.

    forward(calls, problem, x, kernel, bias, y, relu, scale), dx(calls, problem, dy, kernel, out)
    and dw(calls, problem, x, dy, gradient) emit calls. `declines` gives the reason why a direction
    of a problem cannot be done, or None. `cycles` estimates the cycles of one image, of a batch of
    so many, on one thread. `error` is the largest error to expect anywhere in a result against
    exact arithmetic, relative to the result's largest magnitude.
    """

    name: str
    forward: Callable[..., None]
    dx: Callable[..., None]
    dw: Callable[..., None]
    declines: Callable[[str, Problem], str | None]
    cycles: Callable[[str, Problem, int], float]
    error: float

    def emitter(self, direction: str) -> Callable[..., None]:
        found: Callable[..., None] = getattr(self, direction)
        return found


def _strategy(name: str, module: ModuleType, error: float, **setting: int) -> Strategy:
    """Return the strategy that stands in a module; `setting` is passed to its functions."""
    function = f"conv2d_{module.__name__.rpartition('.conv_')[2]}"
    parts: list[Any] = [getattr(module, function + end) for end in ("", "_dx", "_dw")]
    emitters = [partial(part, **setting) for part in parts]
    cycles = partial(module.cycles, **setting)
    return Strategy(name, *emitters, module.declines, cycles, error)


# The errors are those of the longest sums, ten thousand products and more, with room to spare.
STRATEGIES: dict[str, Strategy] = {
    one.name: one
    for one in (
        _strategy("direct", conv_direct, 1e-5),
        _strategy("im2col", conv_im2col, 1e-5),
        _strategy("im2col-blas", conv_im2col_blas, 1e-5),
        _strategy("winograd", conv_winograd, 4e-5, m=4),
        _strategy("winograd-2x2", conv_winograd, 1e-5, m=2),
        _strategy("fft", conv_fft, 1e-5),
    )
}
