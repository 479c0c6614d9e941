"""Learning-rate schedules: functions of the number of update steps done. Names and formulas are
Keras's where Keras has them.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastcnn.utils import arguments, custom_objects, naming, user_code
from fastcnn.utils.settings import ConfiguredSettings


class Schedule(ConfiguredSettings):
    """A learning rate that depends on the step: a subclass has __call__(step)."""

    @user_code.needed("which returns the learning rate after so many updates")
    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class FunctionSchedule(Schedule):
    """What a function of the step returns; `learning_rate=function` stands for it.

    Args:
        function: function(step) returns the learning rate after so many updates.

    Raises:
        TypeError: It is no function of one argument.
    """

    def __init__(self, function: Callable[[int], float]) -> None:
        user_code.check_takes("FunctionSchedule", "its function", function, "step")
        self.function = function

    def __call__(self, step: int) -> float:
        return self.function(step)

    def get_config(self) -> dict[str, object]:
        return {"function": custom_objects.name_of(self.function)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionSchedule:
        return cls(custom_objects.function_of("schedule", config["function"]))


class _Decay(Schedule):
    """What the smooth decays share: the first rate and the steps they take."""

    def __init__(self, initial_learning_rate: float, decay_steps: int) -> None:
        self.initial_learning_rate = arguments.float32(
            self, "initial_learning_rate", initial_learning_rate, least=0
        )
        self.decay_steps = arguments.whole(self, "decay_steps", decay_steps, least=1)

    def get_config(self) -> dict[str, object]:
        return dict(vars(self))


class _RateDecay(_Decay):
    """A decay by a rate every decay_steps, in stairs if wanted."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps)
        self.decay_rate = arguments.float32(self, "decay_rate", decay_rate, least=0)
        self.staircase = arguments.flag(self, "staircase", staircase)

    def periods(self, step: int) -> float:
        return step // self.decay_steps if self.staircase else step / self.decay_steps


class ExponentialDecay(_RateDecay):
    """initial_learning_rate * decay_rate ** (step / decay_steps).

    Args:
        initial_learning_rate: The rate at step 0, at least 0.
        decay_steps: Training steps in which the rate falls by `decay_rate`, at least 1.
        decay_rate: The factor, at least 0.
        staircase: Whether step / decay_steps is rounded down.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * self.decay_rate ** self.periods(step)


class InverseTimeDecay(_RateDecay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps): 1/t.

    Args:
        initial_learning_rate: The rate at step 0, at least 0.
        decay_steps: Training steps that count as one, at least 1.
        decay_rate: How much each of these adds to the denominator, at least 0.
        staircase: Whether step / decay_steps is rounded down.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self.periods(step))


class PolynomialDecay(_Decay):
    """From the first rate to the last along (1 - step / decay_steps) ** power.

    Args:
        initial_learning_rate: The rate at step 0, at least 0.
        decay_steps: Training steps until the last rate, at least 1.
        end_learning_rate: The last rate, at least 0.
        power: The exponent, above 0; 1 is linear.
        cycle: Whether `decay_steps` grows to its next multiple instead of stopping.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps)
        self.end_learning_rate = arguments.float32(
            self, "end_learning_rate", end_learning_rate, least=0
        )
        self.power = arguments.float32(self, "power", power, above=0)
        self.cycle = arguments.flag(self, "cycle", cycle)

    def __call__(self, step: int) -> float:
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, -(-step // steps))
        left = 1 - min(step, steps) / steps
        fall = self.initial_learning_rate - self.end_learning_rate
        return fall * left**self.power + self.end_learning_rate


class CosineDecay(_Decay):
    """Half a cosine from initial_learning_rate to alpha times it in decay_steps.

    With warmup_target, the rate first rises from initial_learning_rate to warmup_target in
    warmup_steps, and the cosine falls from there in the decay_steps that follow.

    Args:
        initial_learning_rate: The rate at step 0, at least 0.
        decay_steps: Training steps that the cosine takes, at least 1.
        alpha: The last rate as a fraction of the first, at least 0.
        warmup_target: The rate at the end of the warm-up, at least 0; None for no warm-up.
        warmup_steps: Training steps that the warm-up takes, at least 0.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.

    References:
        Loshchilov and Hutter, 2017: SGDR: Stochastic gradient descent with warm restarts.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps)
        self.alpha = arguments.float32(self, "alpha", alpha, least=0)
        self.warmup_target = (
            None
            if warmup_target is None
            else arguments.float32(self, "warmup_target", warmup_target, least=0)
        )
        self.warmup_steps = arguments.whole(self, "warmup_steps", warmup_steps, least=0)

    def __call__(self, step: int) -> float:
        if self.warmup_target is None:
            return self._cosine(self.initial_learning_rate, step)
        if step < self.warmup_steps:
            rise = self.warmup_target - self.initial_learning_rate
            return self.initial_learning_rate + rise * step / self.warmup_steps
        return self._cosine(self.warmup_target, step - self.warmup_steps)

    def _cosine(self, top: float, step: int) -> float:
        done = min(step, self.decay_steps) / self.decay_steps
        return top * ((1 - self.alpha) * 0.5 * (1 + math.cos(math.pi * done)) + self.alpha)


class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with step boundaries[0], values[1] up to boundaries[1], and so on.

    Args:
        boundaries: Rising step numbers, at least 0.
        values: The rates, at least 0, one more than boundaries.

    Raises:
        TypeError: They are no lists of numbers.
        ValueError: The boundaries do not rise, there is not one value more, or a number is
            negative.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        for name, listed in (("boundaries", boundaries), ("values", values)):
            if not isinstance(listed, list | tuple | np.ndarray) or getattr(listed, "ndim", 1) != 1:
                raise TypeError(
                    f"PiecewiseConstantDecay: {name} must be a list of numbers. "
                    f"Received {listed!r}."
                )
        if len(boundaries) + 1 != len(values):
            raise ValueError(
                "PiecewiseConstantDecay: values must be one more than boundaries. "
                f"Received {len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries = tuple(arguments.whole(self, "boundaries", b, least=0) for b in boundaries)
        self.values = tuple(arguments.float32(self, "values", v, least=0) for v in values)
        if sorted(set(self.boundaries)) != list(self.boundaries):
            raise ValueError(
                f"PiecewiseConstantDecay: boundaries must increase. Received {self.boundaries}."
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect.bisect_left(self.boundaries, step)]

    def get_config(self) -> dict[str, object]:
        return {"boundaries": list(self.boundaries), "values": list(self.values)}


class StepDecay(Schedule):
    """The first rate, times `drop` every so many steps.

    Args:
        initial_learning_rate: The rate at step 0, above 0.
        drop: The factor of each drop, above 0.
        every: Training steps between two drops, at least 1.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(self, initial_learning_rate: float, drop: float, every: int) -> None:
        self.initial_learning_rate = arguments.float32(
            self, "initial_learning_rate", initial_learning_rate, above=0
        )
        self.drop = arguments.float32(self, "drop", drop, above=0)
        self.every = arguments.whole(self, "every", every, least=1)

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * self.drop ** (step // self.every)

    def get_config(self) -> dict[str, object]:
        return dict(vars(self))


class Warmup(Schedule):
    """Rises linearly to the first rate of a schedule, then follows it from its step 0.

    Args:
        schedule: What follows: a schedule, its configuration, or a number above 0 for a constant
            rate.
        steps: Training steps that the rise takes, at least 1.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.

    References:
        Goyal et al., 2017: Accurate, large minibatch SGD: Training ImageNet in 1 hour.
    """

    def __init__(self, schedule: Schedule | float | dict[str, Any], steps: int) -> None:
        self.schedule: Schedule | float
        if isinstance(schedule, Schedule | str | dict):
            self.schedule = get(schedule)
        else:
            self.schedule = arguments.float32(self, "schedule", schedule, above=0)
        self.steps = arguments.whole(self, "steps", steps, least=1)

    def __call__(self, step: int) -> float:
        after = self._rate(max(0, step - self.steps))
        return after * min(1.0, (step + 1) / self.steps)

    def _rate(self, step: int) -> float:
        return self.schedule(step) if isinstance(self.schedule, Schedule) else self.schedule

    def get_config(self) -> dict[str, object]:
        schedule = self.schedule
        described = naming.serialize(schedule) if isinstance(schedule, Schedule) else schedule
        return {"schedule": described, "steps": self.steps}


SCHEDULES: dict[str, type[Schedule]] = {
    cls.__name__: cls
    for cls in (
        ExponentialDecay,
        InverseTimeDecay,
        PolynomialDecay,
        CosineDecay,
        PiecewiseConstantDecay,
        StepDecay,
        Warmup,
        FunctionSchedule,
    )
}


RateLike: TypeAlias = "float | Schedule | dict[str, object] | Callable[[int], float]"
"""What stands for a learning rate: a number, or what `get` takes."""


def get(identifier: object) -> Schedule:
    """Return the schedule that a configuration stands for.

    Args:
        identifier: A {"class_name", "config"}, a schedule, or a function of the step.

    Returns:
        The schedule.

    Raises:
        ValueError: The class is unknown, or an argument is out of its range.
        TypeError: It is neither.
    """
    if callable(identifier) and not isinstance(identifier, type | Schedule):
        return FunctionSchedule(identifier)
    return naming.resolve("schedule", identifier, Schedule, SCHEDULES)
