"""RMSprop."""

from __future__ import annotations

from typing import Unpack

from fastcnn.optimizers.optimizer import Optimizer, OptimizerOptions
from fastcnn.schedules import RateLike
from fastcnn.utils import arguments
from fastcnn.utils.docstrings import described_by


@described_by(Optimizer.__doc__)
class RMSprop(Optimizer):
    """Steps along the gradient over the root of its mean square (centered: of its variance).

    Args:
        rho: The decay of the mean of the squared gradients, at least 0 and below 1.
        momentum: How much of the last step is added to the next, from 0 to 1.
        epsilon: Added to the denominator, above 0.
        centered: Whether the square of the mean gradient is subtracted first.
        **kwargs: `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, as
            `Optimizer`'s.

    References:
        Tieleman and Hinton, 2012: Neural networks for machine learning, lecture 6.5.
    """

    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = arguments.float32(self, "rho", rho, least=0, below=1)
        self.momentum = arguments.float32(self, "momentum", momentum, least=0, most=1)
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)
        self.centered = arguments.flag(self, "centered", centered)
        self.slots = (
            "velocity",
            *(("momentum",) if self.momentum else ()),
            *(("average_gradient",) if centered else ()),
        )

    @property
    def kernel(self) -> str:  # type: ignore[override]
        center = "_centered" if self.centered else ""
        return f"rmsprop{center}" + ("_momentum" if self.momentum else "")

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        return (self.rho, 1 - self.rho, self.epsilon, self.momentum)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
