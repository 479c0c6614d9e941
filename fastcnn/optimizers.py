"""The optimizers, by Keras's names, with Keras 3's defaults and formulas. What they do to the
weights is in kernels/shared/optimizers.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastcnn import schedules
from fastcnn.schedules import Schedule
from fastcnn.utils import arguments, naming
from fastcnn.utils.settings import Settings


class Optimizer(Settings):
    """A rule that changes the weights by their gradients.

    ``kernel`` names the update kernel, ``slots`` the values it keeps for every weight and
    ``slot_values`` what they start with. Gradients are clipped before: each one to
    +-``clipvalue``, each parameter's norm to ``clipnorm``, or the norm of all to
    ``global_clipnorm``; at most one of the three is set. All may be changed at any time, also while
    a model trains: what is set counts from the next step on. A value that is kept for every weight
    begins anew where momentum, say, was 0 before.
    """

    kernel = ""
    slots: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any],
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or naming.snake_case(type(self).__name__)
        self.learning_rate = learning_rate
        self.weight_decay = self._optional("weight_decay", weight_decay, least=0)
        self.clipnorm = self._optional("clipnorm", clipnorm, above=0)
        self.clipvalue = self._optional("clipvalue", clipvalue, above=0)
        self.global_clipnorm = self._optional("global_clipnorm", global_clipnorm, above=0)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        clipping = [f"{key}={value!r}" for key, value in clips.items() if value is not None]
        if len(clipping) > 1:
            raise ValueError(
                f"{type(self).__name__}: only one of clipnorm, clipvalue and global_clipnorm "
                f"can be set. Received {', '.join(clipping)}."
            )

    @property
    def learning_rate(self) -> float | Schedule:
        """A positive number or a Schedule; settable at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule | dict[str, Any]) -> None:
        if isinstance(value, Schedule | dict):
            self._learning_rate: float | Schedule = schedules.get(value)
        else:
            self._learning_rate = arguments.float32(self, "learning_rate", value, above=0)

    @property
    def slot_values(self) -> tuple[float, ...]:
        """What each slot starts with."""
        return (0.0,) * len(self.slots)

    def new_slots(self, size: int) -> np.ndarray:
        """The slots before the first step, float32[len(slots), size]."""
        values = np.array(self.slot_values, np.float32).reshape(-1, 1)
        return np.repeat(values, size, axis=1)

    def plan_key(self) -> tuple[Any, ...]:
        """Return all that the calls of an update depend on; numbers come with each step."""
        return self.kernel, self.slots, self.clipnorm, self.clipvalue, self.global_clipnorm

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the update after ``step`` updates. ValueError when a schedule
        gives what is not a number of at least 0 that float32 holds."""
        rate = self._learning_rate
        if not isinstance(rate, Schedule):
            return rate
        try:
            value: Any = rate(step)
        except OverflowError:
            value = math.inf
        number = arguments.as_float(value)
        if not 0 <= arguments.rounded_to_float32(number) < math.inf:
            raise ValueError(
                f"{type(self).__name__}: the learning rate must be a number of at least 0 that "
                f"float32 holds. {type(rate).__name__} gave {value!r} at step {step}."
            )
        return number

    def hyper(self, step: int) -> np.ndarray:
        """The numbers of the update kernel, float32[8]: learning rate, weight decay, its own."""
        rate = self.learning_rate_at(step)
        numbers = (rate, self.weight_decay or 0.0, *self._numbers(rate, step))
        hyper = np.zeros(8, np.float32)
        with np.errstate(over="ignore"):
            hyper[: len(numbers)] = numbers
        if not np.isfinite(hyper).all():
            raise ValueError(
                f"{type(self).__name__}: the learning rate {rate:g} at step {step} is too large: "
                "what the update multiplies by is above what float32 holds."
            )
        return hyper

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        return ()

    def _optional(self, argument: str, value: float | None, **limits: float) -> float | None:
        return None if value is None else arguments.float32(self, argument, value, **limits)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; a schedule as {"class_name", "config"}."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": naming.serialize(rate) if isinstance(rate, Schedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        return cls(**config)

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({options})"


class SGD(Optimizer):
    """w -= learning_rate * g; with momentum: m = momentum * m - learning_rate * g; w += m."""

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any] = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
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

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """Steps along the mean gradient over the root of its mean square, both bias-corrected."""

    kernel = "adam"
    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = arguments.float32(self, "beta_1", beta_1, least=0, below=1)
        self.beta_2 = arguments.float32(self, "beta_2", beta_2, least=0, below=1)
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        t = step + 1
        corrected = rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return (corrected, 1 - self.beta_1, 1 - self.beta_2, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class AdamW(Adam):
    """Adam with weight decay: w -= learning_rate * weight_decay * w before each step."""

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any] = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "adamw")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, **kwargs
        )
        if self.weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number. Received None; use Adam.")


class RMSprop(Optimizer):
    """Steps along the gradient over the root of its mean square (centered: of its variance)."""

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any] = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
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

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


class Adagrad(Optimizer):
    """Steps along the gradient over the root of the sum of all its squares so far."""

    kernel = "adagrad"
    slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule | dict[str, Any] = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
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

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}


def get(identifier: Any) -> Optimizer:
    """The optimizer of a name, a class, a configuration, or an optimizer itself."""
    return naming.resolve("optimizer", identifier, Optimizer, OPTIMIZERS)
