"""The sums of one pass over examples: its loss and its metrics."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.metrics.base import BatchResults, Metric


class Batch(BatchResults, Protocol):
    """What an engine returns for n examples; `rank` is empty where the loss has no classes.

    total_loss: what is minimised of each, float32 [n]. auxiliaries: the results of each auxiliary
    classifier, in their order.
    """

    @property
    def total_loss(self) -> NDArray[np.float32]: ...

    @property
    def penalty(self) -> float: ...

    @property
    def auxiliaries(self) -> Sequence[Batch]: ...

    def owned(self) -> Batch:
        """Return a copy whose arrays stay as they are."""


class Ranks:
    """The ranks of many batches as one: what a metric that reads only ranks is given."""

    def __init__(self, rank: NDArray[np.int32]) -> None:
        self.rank = rank


class Tally:
    """The loss and the metrics of one pass over `capacity` examples, or more where need be.

    A step only copies the engine's numbers; sums wait until somebody asks. The loss is, as in
    Keras, the mean of weight * loss over the examples plus the mean regularization penalty. The
    values of an auxiliary classifier, its own loss and metrics, have its path before their names.

    Args:
        metrics: The metrics; copies of them are used.
        capacity: Examples that memory is set aside for.
        auxiliaries: The paths of the auxiliary classifiers, in the order of their results.
    """

    def __init__(
        self, metrics: Sequence[Metric], capacity: int, auxiliaries: Sequence[str] = ()
    ) -> None:
        self._auxiliaries = {path: Tally(metrics, capacity) for path in auxiliaries}
        own = copy.deepcopy(list(metrics))
        self._metrics = own
        self._ranked = [metric for metric in own if metric.reads == "rank"]
        self._direct = [metric for metric in own if metric.reads != "rank"]
        self._loss = np.empty(capacity, np.float32)
        self._rank = np.empty(capacity if self._ranked else 0, np.int32)
        self._weight: NDArray[np.float32] = np.empty(0, np.float32)
        self.reset()

    def reset(self) -> None:
        """Start a new pass."""
        self.count = 0
        self._penalty = 0.0
        self._rewind()
        for metric in self._direct:
            metric.reset()
        for side in self._auxiliaries.values():
            side.reset()

    def _rewind(self) -> None:
        """Let the next `logs` sum everything again from the first example."""
        self._summed = 0
        self._loss_sum = 0.0
        for metric in self._ranked:
            metric.reset()

    def add(self, batch: Batch, y: NDArray[Any] | None, weight: NDArray[np.float32] | None) -> None:
        """Take in one step's batch."""
        loss = batch.total_loss
        start = self.count
        size = len(loss)
        self.count = stop = start + size
        if stop > len(self._loss):
            self._grow(stop)
        self._loss[start:stop] = loss
        if weight is not None:
            if not len(self._weight):
                self._weight = np.ones_like(self._loss)
            self._weight[start:stop] = weight
        elif len(self._weight):
            self._weight[start:stop] = 1
        if self._ranked:
            self._rank[start:stop] = batch.rank
        self._penalty += batch.penalty * size
        if self._direct:
            # The arrays are used again by the next batch, and a metric may keep what it is given.
            own = batch.owned(), _owned(y), _owned(weight)
            for metric in self._direct:
                metric.update(*own)
        for side, results in zip(self._auxiliaries.values(), batch.auxiliaries, strict=False):
            side.add(results, y, weight)

    def _grow(self, least: int) -> None:
        """Make room for at least so many examples."""
        added = max(least, 2 * len(self._loss)) - len(self._loss)
        self._loss = np.append(self._loss, np.zeros(added, np.float32))
        if self._ranked:
            self._rank = np.append(self._rank, np.zeros(added, np.int32))
        if len(self._weight):
            self._weight = np.append(self._weight, np.ones(added, np.float32))

    @property
    def names(self) -> list[str]:
        """The names of what `logs` and `final` give, in their order."""
        own = ["loss", *(name for metric in self._metrics for name in metric.log_names)]
        sides = self._auxiliaries.items()
        return own + [f"{path}_{name}" for path, side in sides for name in side.names]

    def logs(self) -> dict[str, float]:
        """Return the values so far: {"loss": ..., and those of each metric by their names}."""
        self._sum()
        logs = {"loss": self._mean_loss()}
        for metric in self._metrics:
            logs |= _numbers(metric, metric.running())
        return logs | self._of_auxiliaries(Tally.logs)

    def final(self) -> dict[str, float]:
        """Return the values of the whole pass, summed in one go, so that the bits do not depend on
        earlier calls of `logs`.
        """
        if self._summed:
            self._rewind()
        self._sum()
        logs = {"loss": self._mean_loss()}
        for metric in self._metrics:
            logs |= _numbers(metric, metric.results())
        return logs | self._of_auxiliaries(Tally.final)

    def _of_auxiliaries(self, values: Callable[[Tally], dict[str, float]]) -> dict[str, float]:
        sides = self._auxiliaries.items()
        return {
            f"{path}_{name}": value for path, side in sides for name, value in values(side).items()
        }

    def _sum(self) -> None:
        """Take what was added since the last time into the sums."""
        part = slice(self._summed, self.count)
        self._summed = self.count
        weight = self._weight[part] if len(self._weight) else None
        loss = self._loss[part]
        weighted = loss if weight is None else loss.astype(np.float64) * weight
        self._loss_sum += float(weighted.sum(dtype=np.float64))
        if self._ranked:
            ranks = cast(BatchResults, Ranks(self._rank[part].copy()))
            own_weight = None if weight is None else weight.copy()
            for metric in self._ranked:
                metric.update(ranks, None, own_weight)

    def _mean_loss(self) -> float:
        return (self._loss_sum + self._penalty) / self.count if self.count else float("nan")


def _numbers(metric: Metric, values: object) -> dict[str, float]:
    """The values of a metric, which may be one of the user's own, as floats; TypeError."""
    numbers = values.values() if isinstance(values, dict) else [None]
    if not isinstance(values, dict) or not all(
        isinstance(n, (float, Real)) or (isinstance(n, np.ndarray) and n.ndim == 0) for n in numbers
    ):
        raise TypeError(
            f"The metric {type(metric).__name__} must give a number for each of its names, "
            f"{', '.join(metric.log_names)}. Received {values!r}."
        )
    return {name: float(number) for name, number in values.items()}


def _owned(values: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if values is None else values.copy()
