"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Unpack

from fastcnn.optimizers.optimizer import Optimizer, OptimizerOptions
from fastcnn.schedules import RateLike
from fastcnn.utils import arguments
from fastcnn.utils.docstrings import described_by


@described_by(Optimizer.__doc__)
class SGD(Optimizer):
    """w -= learning_rate * g; with momentum: m = momentum * m - learning_rate * g; w += m.

    Args:
        momentum: How much of the last step is added to the next, from 0 to 1.
        nesterov: Whether the gradient is taken as after the momentum's step.
        **kwargs: `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, as
            `Optimizer`'s.

    References:
        Sutskever et al., 2013: On the importance of initialization and momentum in deep learning.
    """

    def __init__(
        self,
        learning_rate: RateLike = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = arguments.float32(self, "momentum", momentum, least=0, most=1)
        self.nesterov = arguments.flag(self, "nesterov", nesterov)
        self.slots = ("momentum",) if self.momentum else ()

    @property
    def kernel(self) -> str:  # type: ignore[override]
        if not self.momentum:
            return "sgd"
        return "sgd_nesterov" if self.nesterov else "sgd_momentum"

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        return (self.momentum,)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}
