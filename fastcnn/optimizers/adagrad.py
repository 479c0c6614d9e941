"""Adagrad."""

from __future__ import annotations

from typing import Unpack

from fastcnn.optimizers.optimizer import Optimizer, OptimizerOptions
from fastcnn.schedules import RateLike
from fastcnn.utils import arguments
from fastcnn.utils.docstrings import described_by


@described_by(Optimizer.__doc__)
class Adagrad(Optimizer):
    """Steps along the gradient over the root of the sum of all its squares so far.

    Args:
        initial_accumulator_value: What the sums of squares start with, at least 0.
        epsilon: Added to the denominator, above 0.
        **kwargs: `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, as
            `Optimizer`'s.

    References:
        Duchi et al., 2011: Adaptive subgradient methods for online learning and stochastic
        optimization.
    """

    kernel = "adagrad"
    slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = arguments.float32(
            self, "initial_accumulator_value", initial_accumulator_value, least=0
        )
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)

    def _why_fixed(self, name: str) -> str | None:
        if name == "initial_accumulator_value":
            return ": training begins with it. Compile with a new Adagrad"
        return super()._why_fixed(name)

    @property
    def slot_values(self) -> tuple[float, ...]:
        return (self.initial_accumulator_value,)

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        return (self.epsilon,)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
