"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Unpack

from fastcnn.optimizers.optimizer import ClippingOptions, Optimizer, OptimizerOptions
from fastcnn.schedules import RateLike
from fastcnn.utils import arguments
from fastcnn.utils.docstrings import described_by


@described_by(Optimizer.__doc__)
class Adam(Optimizer):
    """Steps along the mean gradient over the root of its mean square, both bias-corrected.

    Args:
        beta_1: The decay of the mean of the gradients, at least 0 and below 1.
        beta_2: The decay of the mean of their squares, likewise.
        epsilon: Added to the denominator, above 0.
        **kwargs: `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, as
            `Optimizer`'s.

    References:
        Kingma and Ba, 2015: Adam: A method for stochastic optimization.
    """

    kernel = "adam"
    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = arguments.float32(self, "beta_1", beta_1, least=0, below=1)
        self.beta_2 = arguments.float32(self, "beta_2", beta_2, least=0, below=1)
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        t = step + 1
        corrected = rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return (corrected, 1 - self.beta_1, 1 - self.beta_2, self.epsilon)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


@described_by(Adam.__doc__)
class AdamW(Adam):
    """Adam with weight decay: w -= learning_rate * weight_decay * w before each step.

    Args:
        weight_decay: The share of a weight that goes in a step, times the learning rate; at least
            0.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, as `Optimizer`'s.

    References:
        Loshchilov and Hutter, 2019: Decoupled weight decay regularization.
    """

    def __init__(
        self,
        learning_rate: RateLike = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Unpack[ClippingOptions],
    ) -> None:
        kwargs.setdefault("name", "adamw")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, **kwargs
        )
        if self.weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number. Received None; use Adam.")
