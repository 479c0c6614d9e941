"""A gradient beside central differences of what it is the gradient of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEP = {"float32": 1e-2, "float64": 1e-6}
"""Of a central difference, by the precision of what it is a difference of."""
TOLERANCE = {"float32": 1e-2, "float64": 1e-5}
"""How far a gradient may be off, of the largest in its array."""
BEND, CURVE = 2.0, 0.25
"""Of the tolerance, where there is no kink, such as ReLU's at 0: how far the differences on both
sides of a number may be apart, of which a kink shifts the central one by half, and those over a
step and half of it."""


@dataclass(frozen=True)
class CheckedArray:
    """What was seen of one array: `entries` were checked, `kinks` left out, and the gradient was
    off by at most `error`, of the largest."""

    name: str
    shape: tuple[int, ...]
    entries: int
    kinks: int
    error: float


@dataclass
class Problem:
    """A number that depends on arrays, and its gradient with respect to each."""

    subject: str
    precision: str
    arrays: dict[str, Array]  # changed in place by the check, and put back
    value: Callable[[], tuple[float, float]]  # and how large a rounding error it may have
    gradients: dict[str, Array]


def checked(problem: Problem, name: str, entries: int, rng: np.random.Generator) -> CheckedArray:
    """Compare one array's gradient; ValueError where it is wrong."""
    array, gradient = problem.arrays[name], problem.gradients[name]
    if array.size <= entries:
        places = np.arange(array.size)
    else:
        places = np.sort(rng.choice(array.size, entries, replace=False))
    step = STEP[problem.precision]
    rows = np.array([_differences(problem, array, int(place), step) for place in places])
    rows = rows.reshape(-1, 4)
    wide, narrow, bend, rounding = rows.T
    received = np.asarray(gradient, np.float64).reshape(-1)[places]
    largest = max(np.abs(narrow).max(initial=0.0), np.abs(received).max(initial=0.0))
    tolerance = TOLERANCE[problem.precision] * largest
    smooth = np.abs(wide - narrow) <= CURVE * tolerance + rounding
    smooth &= np.abs(bend) <= BEND * tolerance + rounding
    wrong = smooth & ~(np.abs(narrow - received) <= tolerance + rounding)
    if len(places) and not smooth.any():
        raise ValueError(
            f"check_gradients: {problem.subject}: all {len(places)} entries of {name} that were "
            "tried lie next to kinks. Give other inputs, or a layer whose outputs vary smoothly."
        )
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.abs(narrow - received), -1.0)))
        at = tuple(int(n) for n in np.unravel_index(places[worst], array.shape))
        raise ValueError(
            f"check_gradients: {problem.subject}: the gradient of {name} is wrong at {at}: "
            f"expected {narrow[worst]:.6g}, a central difference. Received {received[worst]:.6g}. "
            f"{int(wrong.sum())} of {int(smooth.sum())} entries are off by more than "
            f"{TOLERANCE[problem.precision]:g} of the largest, {largest:.3g}."
        )
    errors = np.abs(narrow - received)[smooth]
    error = float(errors.max(initial=0.0) / largest) if largest else 0.0
    kinks = int((~smooth).sum())
    return CheckedArray(name, array.shape, len(places) - kinks, kinks, error)


def _differences(problem: Problem, array: Array, place: int, step: float) -> list[float]:
    """Return the central differences over a step and over half of it, how far those on both sides
    are apart, and what rounding does to them."""
    flat = array.reshape(-1)  # a view: all of them are contiguous
    before = flat[place].copy()
    values, places = [], []
    for distance in (-step, -step / 2, 0.0, step / 2, step):
        flat[place] = before + distance
        places.append(float(flat[place]))
        values.append(problem.value())
    flat[place] = before
    far_low, low, middle, high, far_high = (number for number, _ in values)
    wide = (far_high - far_low) / (places[4] - places[0])
    narrow = (high - low) / (places[3] - places[1])
    bend = (high - middle) / (places[3] - places[2]) - (middle - low) / (places[2] - places[1])
    rounding = 8 * max(error for _, error in values) / step
    return [wide, narrow, bend, rounding]
