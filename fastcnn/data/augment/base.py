"""What every augmentation is: a configuration, and a number of random numbers an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from inspect import signature
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from fastcnn.utils import arguments, naming
from fastcnn.utils.settings import Settings

# (height, width, channels) of an image.
Shape = tuple[int, int, int]
Range = tuple[float, float]

IntervalLike: TypeAlias = float | Sequence[float] | npt.NDArray[Any]
"""One number, or a pair (lower, upper)."""


class Augmentation(Settings):
    """One entry of a list of augmentations.

    ``settings`` names the constructor's arguments; each is kept under its own name. ``draws`` is
    how many uniform random numbers an image takes. None can be set later: what a batch needs is
    worked out when it is constructed.
    """

    OPENED = ("fit", "set_arrays")
    settings: ClassVar[tuple[str, ...]] = ()
    draws: ClassVar[int] = 0

    def _why_fixed(self, name: str) -> str | None:
        if name in self._arguments():
            return ": it is fixed when the augmentation is made. Make a new one"
        return super()._why_fixed(name)

    def _check_constructed(self) -> None:
        super()._check_constructed()
        for name in self.settings:  # whoever passed an array or a list may change it later
            if name in vars(self):
                self._assign(**{name: _own(vars(self)[name])})

    @property
    def fitted(self) -> bool:
        """Whether it needs no fit(images) any more, with the training images."""
        return True

    @property
    def limits(self) -> Range | None:
        """The lowest and the highest value of a pixel that it reckons with; None for any."""
        return None

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of an image after it.

        Args:
            shape: (H, W, C) of an image before.

        Raises:
            ValueError: It cannot work on such images.
        """
        return shape

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments, as JSON can hold them."""
        return {name: _plain(getattr(self, name)) for name in self.settings}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Augmentation:
        parameters = signature(cls.__init__).parameters
        for name in config:
            if name not in parameters:
                kind = f"argument of {cls.__name__}"
                raise ValueError(naming.unknown(kind, name, list(parameters)[1:]))
        return cls(**config)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({settings})"


class RangedAugmentation(Augmentation):
    """An augmentation that reckons with ``value_range``, (lowest, highest)."""

    value_range: IntervalLike
    _limits: Range

    @property
    def limits(self) -> Range:
        return self._limits

    def _set_value_range(self, value_range: IntervalLike) -> None:
        self.value_range = value_range
        self._limits = value_limits(self, value_range)


def _own(value: object) -> object:
    """Return an array or a list that nobody else has, and that cannot change."""
    if isinstance(value, np.ndarray):
        own = value.copy()
        own.setflags(write=False)
        return own
    return tuple(_own(entry) for entry in value) if isinstance(value, list) else value


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def interval(
    owner: object, argument: str, value: object, low: float, high: float, *, mirrored: bool
) -> Range:
    """Return the interval that an argument names: a pair, or one number f, for -f to f or 0 to f.

    Args:
        owner: Whose argument it is, for errors.
        argument: The argument's name, for errors.
        value: A pair of numbers, or one number f.
        low: The least that either end may be.
        high: The most that either end may be.
        mirrored: Whether f stands for -f to f, else for 0 to f.

    Returns:
        (lower, upper), both from `low` to `high`.

    Raises:
        ValueError: The value is no such pair and no such number.
    """
    if isinstance(value, tuple | list | np.ndarray):
        ends = [
            arguments.number(owner, argument, end, least=low, most=high)
            for end in two_ends(owner, argument, value)
        ]
        return min(ends), max(ends)
    size = arguments.number(owner, argument, value, least=low, most=high)
    if mirrored:
        return -abs(size), abs(size)
    return min(size, 0.0), max(size, 0.0)


def two_ends(owner: object, argument: str, value: object) -> tuple[object, object]:
    """Return (lower, upper): the pair itself, or one value twice.

    Args:
        owner: Whose argument it is, for errors.
        argument: Its name.
        value: A pair, of which nothing else is checked, or anything else.

    Raises:
        ValueError: A sequence is no pair.
    """
    if not isinstance(value, tuple | list | np.ndarray):
        return value, value
    if np.ndim(value) == 0 or len(value) != 2:
        raise ValueError(
            f"{type(owner).__name__}: {argument} must be a number or a pair (lower, upper). "
            f"Received {value!r}."
        )
    return value[0], value[1]


def value_limits(owner: object, value_range: object) -> Range:
    """Return the lowest and the highest value of a pixel.

    Args:
        owner: Whose argument it is, for errors.
        value_range: A pair of numbers, the lower one first.

    Raises:
        ValueError: It is no such pair.
    """
    if not isinstance(value_range, tuple | list | np.ndarray) or len(value_range) != 2:
        raise ValueError(
            f"{type(owner).__name__}: value_range must be a pair (lowest, highest). "
            f"Received {value_range!r}."
        )
    low, high = sorted(arguments.float32(owner, "value_range", end) for end in value_range)
    ends = arguments.rounded_to_float32(low), arguments.rounded_to_float32(high)
    if ends[0] == ends[1] or math.isinf(arguments.rounded_to_float32(high - low)):
        raise ValueError(
            f"{type(owner).__name__}: value_range must have two different ends, whose difference "
            f"float32 holds. Received {value_range!r}."
        )
    return low, high
