"""The learning-rate range test: a short training while the rate rises, until the loss does too."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.callbacks.callback import Callback, Logs
from fastcnn.callbacks.history import History
from fastcnn.plots.figure import Save
from fastcnn.plots.learning_rates import learning_rates
from fastcnn.schedules import ExponentialDecay
from fastcnn.training import input_checks
from fastcnn.training.prediction import USUAL_BATCH
from fastcnn.training.trainer import Trainer
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIVERGED = 4.0
"""The loss, times the least one before, at which the test ends."""
BEYOND_NOISE = 3.0
"""How far the loss must fall, times the median distance of batches from the smoothed loss."""
WINDOW = 0.03
"""Of the steps: the standard deviation of the weights that smooth the loss."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured.

    rates: The learning rate of each step, rising.
    losses: The loss of each step's batch, before the step.
    smoothed: The losses without the batches' noise.
    suggestion: The rate at which the smoothed loss falls most steeply; None where it falls no
        further than batches differ.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float | None

    def plot(self, save: Save = None) -> tuple[Figure, Axes]:
        """Draw the loss by the rate, and mark the suggestion.

        Args:
            save: The file to write; its ending says the format.

        Returns:
            The figure and its axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return learning_rates(self.rates, self.losses, self.smoothed, self.suggestion, save)


class _EndWhereItDiverges(Callback):
    """Ends the training where the loss is several times the least one."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.least = math.inf
        self.recent: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.recent = [*self.recent[-4:], (logs or {})["loss"]]
        usual = float(np.median(self.recent))  # no single batch ends it
        if len(self.recent) == 5:
            self.least = min(self.least, usual)
        if usual > DIVERGED * self.least:
            self.model.stop_training = True


def find_learning_rate(
    model: Trainer,
    x: object,
    y: object = None,
    batch_size: int = USUAL_BATCH,
    start: float = 1e-6,
    end: float = 1.0,
    steps: int = 100,
    **fit_arguments: Any,
) -> RangeTest:
    """Train a copy of a model for some steps while the learning rate rises, each time by the same
    factor, and suggest the rate at which the loss falls most steeply.

    The model itself stays as it is: weights, optimizer, step, epoch. Only a generator loses the
    batches that it gave. The test ends early where the loss diverges or is no longer finite.

    Args:
        model: The compiled model.
        x: Images, or another source, as `fit` takes them.
        y: Their labels or targets, as in `fit`.
        batch_size: Images of a step: that of the training to come, since the rate depends on it.
        start: The first rate, above 0.
        end: The last rate, above `start`.
        steps: Steps, at least 10; the data are gone through again where they run out.
        **fit_arguments: `augment`, `class_weight` and whatever else of `fit` bears on the loss.

    Returns:
        The rates, their losses and the suggestion.

    Raises:
        ValueError: An argument is not what it should be, or the data do not fit the model.

    References:
        Smith, 2017: Cyclical learning rates for training neural networks.
    """
    where = "find_learning_rate"
    input_checks.compiled(model, where, training=True)
    first = arguments.number(where, "start", start, above=0)
    last = arguments.number(where, "end", end, above=first)
    count = arguments.whole(where, "steps", steps, least=10)
    trial = copy.deepcopy(model)
    optimizer = copy.copy(model.optimizer)
    factor = (last / first) ** (1 / (count - 1))
    optimizer.learning_rate = ExponentialDecay(first, 1, factor)
    trial.optimizer = optimizer
    history = _losses(trial, x, y, batch_size, count, fit_arguments)
    losses = np.array(history.history["loss"] if history.history else [], np.float64)
    rates = first * factor ** np.arange(len(losses))
    smoothed = _smoothed(losses, max(1.0, WINDOW * count))
    return RangeTest(rates, losses, smoothed, _steepest(rates, losses, smoothed))


def _losses(
    trial: Trainer, x: object, y: object, batch_size: int, steps: int, fit_arguments: dict[str, Any]
) -> History:
    """The history of a training whose epochs are its steps."""
    try:
        return trial.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=steps,
            steps_per_epoch=1,
            callbacks=_EndWhereItDiverges(),
            verbose=0,
            **fit_arguments,
        )
    except ArithmeticError as error:
        history = getattr(error, "history", None)
        if not isinstance(history, History):
            raise
        return history


def _smoothed(losses: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """The losses, each the mean of its neighbours by a bell curve, so that no dip moves."""
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / deviation) ** 2)
    return weights @ losses / weights.sum(axis=1)


def _steepest(
    rates: NDArray[np.float64], losses: NDArray[np.float64], smoothed: NDArray[np.float64]
) -> float | None:
    """The rate of the steepest fall before the least loss; None where that may be chance."""
    if len(smoothed) < 3:
        return None
    usual = np.median(losses[: max(3, len(losses) // 4)])  # at rates at which little is learnt
    if usual - smoothed.min() < BEYOND_NOISE * np.median(np.abs(losses - smoothed)):
        return None
    slopes = np.gradient(smoothed, np.log(rates))[: int(smoothed.argmin()) + 1]
    place = int(slopes.argmin())
    return float(rates[place]) if slopes[place] < 0 else None
