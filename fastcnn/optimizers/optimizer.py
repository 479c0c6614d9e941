"""What every optimizer is. What they do to the weights is in kernels/shared/optimizers.py."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from fastcnn import schedules
from fastcnn.schedules import RateLike, Schedule
from fastcnn.utils import arguments, naming
from fastcnn.utils.average_slot import AVERAGE
from fastcnn.utils.settings import ConfiguredSettings

TOO_LARGE = 2.0**128 - 2.0**103
"""The least number that float32 rounds to infinity."""


class ClippingOptions(TypedDict, total=False):
    """What the constructor of every optimizer takes besides its own arguments."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    name: str | None


class OptimizerOptions(ClippingOptions, total=False):
    """The same, of an optimizer that decays no weights by itself."""

    weight_decay: float | None


class Optimizer(ConfiguredSettings):
    """A rule that changes the weights by their gradients.

    ``kernel`` names the update kernel, ``slots`` the values it keeps for every weight and
    ``slot_values`` what they start with. Gradients are clipped before: each one to
    +-``clipvalue``, each parameter's norm to ``clipnorm``, or the norm of all to
    ``global_clipnorm``; at most one of the three is set. All may be changed at any time, also while
    a model trains: what is set counts from the next step on. A value that is kept for every weight
    begins anew where momentum, say, was 0 before.

    Args:
        learning_rate: The step size: a number above 0, a `Schedule` (see `fastcnn.schedules`), its
            {"class_name", "config"}, or a function of the number of updates that came before.
        weight_decay: w -= learning_rate * weight_decay * w before each step, at least 0; None for
            none.
        clipnorm: The largest L2 norm of one parameter's gradient, above 0; None does not clip.
        clipvalue: The largest magnitude of one number of a gradient, above 0; None does not clip.
        global_clipnorm: The largest L2 norm of all gradients together, above 0; None does not clip.
        gradient_accumulation_steps: Batches whose gradients are averaged for one update, at least
            2; None updates after each batch. What is left at the end of an epoch of `fit` is an
            update by itself, the mean of fewer batches. Steps, of which schedules depend, count
            updates.
        use_ema: Whether an exponential moving average of the weights is kept, and of the moving
            statistics beside it: after each epoch of `fit` the
            averages are the model's weights, which validation and callbacks see and which are
            saved, and at its end they stay. The next step goes on from the trained ones, which a
            saved model keeps, too.
        ema_momentum: The share of the average that stays in an update, from 0 to 1.
        ema_overwrite_frequency: Updates after which the trained weights are set to their average,
            at least 1; None for never.
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range, or more than one of the clippings is set.
    """

    kernel = ""
    slots: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: RateLike,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        gradient_accumulation_steps: int | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or naming.snake_case(type(self).__name__)
        self.learning_rate = learning_rate
        self.weight_decay = self._optional("weight_decay", weight_decay, least=0)
        self.clipnorm = self._optional("clipnorm", clipnorm, above=0)
        self.clipvalue = self._optional("clipvalue", clipvalue, above=0)
        self.global_clipnorm = self._optional("global_clipnorm", global_clipnorm, above=0)
        self.gradient_accumulation_steps = self._count(
            "gradient_accumulation_steps", gradient_accumulation_steps, least=2
        )
        self.use_ema = arguments.flag(self, "use_ema", use_ema)
        self.ema_momentum = arguments.float32(self, "ema_momentum", ema_momentum, least=0, most=1)
        self.ema_overwrite_frequency = self._count(
            "ema_overwrite_frequency", ema_overwrite_frequency, least=1
        )
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        clipping = [f"{key}={value!r}" for key, value in clips.items() if value is not None]
        if len(clipping) > 1:
            raise ValueError(
                f"{type(self).__name__}: only one of clipnorm, clipvalue and global_clipnorm "
                f"can be set. Received {', '.join(clipping)}."
            )

    def _check_constructed(self) -> None:
        super()._check_constructed()
        if not self.kernel:
            raise TypeError(
                f"{type(self).__name__}: its class must name one of fastcnn's update kernels, "
                "kernel = '...'. Derive it from the optimizer that computes the same. See "
                "help(fastcnn.optimizers.Optimizer)."
            )

    @property
    def learning_rate(self) -> float | Schedule:
        """A positive number or a Schedule; settable at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: RateLike) -> None:
        if isinstance(value, Schedule | dict) or callable(value):
            self._learning_rate: float | Schedule = schedules.get(value)
        else:
            self._learning_rate = arguments.float32(self, "learning_rate", value, above=0)

    @property
    def state_slots(self) -> tuple[str, ...]:
        """All that is kept for every weight: the slots, and behind them the average."""
        return (*self.slots, *([AVERAGE] if self.use_ema else []))

    @property
    def slot_values(self) -> tuple[float, ...]:
        """What each slot starts with."""
        return (0.0,) * len(self.slots)

    def new_slots(self, size: int) -> np.ndarray:
        """Return the slots before the first step.

        Args:
            size: How many weights there are.

        Returns:
            float32 [len(slots), size].
        """
        values = np.array(self.slot_values, np.float32).reshape(-1, 1)
        return np.repeat(values, size, axis=1)

    def plan_key(self) -> tuple[object, ...]:
        """Return all that the calls of an update depend on; numbers come with each step."""
        clips = self.clipnorm, self.clipvalue, self.global_clipnorm
        average = self.use_ema, self.ema_momentum
        return self.kernel, self.slots, *clips, *average, self.gradient_accumulation_steps is None

    def overwrites_at(self, step: int) -> bool:
        """Return whether an update sets the weights to their average.

        Args:
            step: How many updates came before it.
        """
        frequency = self.ema_overwrite_frequency
        return self.use_ema and frequency is not None and (step + 1) % frequency == 0

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of an update.

        Args:
            step: How many updates came before it.

        Raises:
            ValueError: A schedule gives what is no number of at least 0 that float32 holds.
        """
        rate = self._learning_rate
        if not isinstance(rate, Schedule):
            return rate
        try:
            value: object = rate(step)
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
        """Return the numbers of the update kernel: learning rate, weight decay, its own.

        Args:
            step: How many updates came before it.

        Returns:
            float32 [8].

        Raises:
            ValueError: One of them is above what float32 holds.
        """
        return self.hyper_at(self.learning_rate_at(step), step)

    def hyper_at(self, rate: float, step: int) -> np.ndarray:
        """Return the numbers of the update kernel at a learning rate.

        Args:
            rate: The learning rate.
            step: How many updates came before it.

        Returns:
            float32 [8].

        Raises:
            ValueError: One of them is above what float32 holds.
        """
        numbers = (rate, self.weight_decay or 0.0, *self._numbers(rate, step))
        if not all(abs(number) < TOO_LARGE for number in numbers):
            raise ValueError(
                f"{type(self).__name__}: the learning rate {rate:g} at step {step} is too large: "
                "what the update multiplies by is above what float32 holds."
            )
        hyper = np.zeros(8, np.float32)
        hyper[: len(numbers)] = numbers
        return hyper

    def _numbers(self, rate: float, step: int) -> tuple[float, ...]:
        return ()

    def _optional(self, argument: str, value: float | None, **limits: float) -> float | None:
        return None if value is None else arguments.float32(self, argument, value, **limits)

    def _count(self, argument: str, value: int | None, least: int) -> int | None:
        return None if value is None else arguments.whole(self, argument, value, least=least)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments; a schedule as {"class_name", "config"}."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": naming.serialize(rate) if isinstance(rate, Schedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
        }
