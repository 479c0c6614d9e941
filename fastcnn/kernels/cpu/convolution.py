"""The CPU's strategies: ways to compute a convolution and its gradients, in a table.

Each stands in a file of its own, `conv_<name>.py`, as three functions that emit calls. A strategy
declines what it cannot do with a reason in words.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from fastcnn.kernels.cpu import conv_direct
from fastcnn.problem import Problem

DIRECTIONS = ("forward", "dx", "dw")


class Strategy(NamedTuple):
    """One way to compute a convolution.

    forward(calls, problem, x, kernel, bias, y, relu, scale), dx(calls, problem, dy, kernel, out)
    and dw(calls, problem, x, dy, gradient) emit calls. `declines` gives the reason why a direction
    of a problem cannot be done, or None. `cycles` estimates the cycles of one
    image of a batch of so many on one thread.
    `error` is the largest relative error to expect against exact arithmetic: the largest error
    anywhere over the largest magnitude of the result.
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


def _strategy(name: str, module: ModuleType, error: float) -> Strategy:
    function = f"conv2d_{name.replace('-', '_')}"
    parts: list[Any] = [getattr(module, function + end) for end in ("", "_dx", "_dw")]
    return Strategy(name, *parts, module.declines, module.cycles, error)


STRATEGIES: dict[str, Strategy] = {
    one.name: one for one in (_strategy("direct", conv_direct, 2e-6),)
}
