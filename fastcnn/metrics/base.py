"""What every metric is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses import Loss
from fastcnn.utils import arguments, user_code
from fastcnn.utils.settings import Settings


class BatchResults(Protocol):
    """What is known of a batch of n examples; a metric that `reads` "rank" sees no more than that.

    rank: how many classes score higher than the true one, int32 [n]; empty where the loss has no
    classes. outputs: float32 [n, ...].
    """

    rank: NDArray[np.int32]

    @property
    def outputs(self) -> NDArray[np.float32]: ...


class Metric(Settings):
    """A weighted mean over examples of one number an example.

    A subclass gives `values`, or, where it is no mean, `reset`, `update` and `result`. With
    `weighted=True` the examples' weights (sample_weight times class_weight) count; by default, as
    in Keras, every example counts the same. What `update` is given, arrays too, is the metric's to
    keep: nothing overwrites it.

    Settings may be changed at any time and count from the next `fit` or `evaluate` on; a
    subclass may note what it likes in itself in `__init__` and in the methods that a pass calls.

    Args:
        name: What it is called in the logs; None takes the class's.
        weighted: Whether the examples' weights (sample_weight times class_weight) count.
    """

    OPENED = ("prepare", "reset", "values", "update", "result", "results", "running")

    name = "metric"
    direction = "max"
    """Which way is better, "max" or "min": read by callbacks with mode="auto"."""
    reads = "outputs"
    """What `values` reads of a batch. "rank": no more than batch.rank, so that the metric can be
    computed for a whole epoch at once, y being None; "outputs": anything."""

    def __init__(self, name: str | None = None, weighted: bool = False) -> None:
        self.name = name or type(self).name
        self.weighted = arguments.flag(self, "weighted", weighted)
        self.reset()

    def prepare(self, loss: Loss, output_shape: tuple[int, ...]) -> None:
        """Adapt to a model; called before each pass.

        Args:
            loss: The model's loss.
            output_shape: One output's, without the batch.

        Raises:
            ValueError: They do not fit this metric.
        """

    @property
    def log_names(self) -> tuple[str, ...]:
        """The names of this metric's values in the logs; known once it is prepared."""
        return (self.name,)

    def reset(self) -> None:
        """Forget everything seen."""
        self.total = 0.0
        self.count = 0.0

    @user_code.needed(
        "which returns a number for each example, or, where it is no mean, update",
        unless="update",
    )
    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        """Return a number for each example of a batch.

        Args:
            batch: What the model made of n examples.
            y: Their targets, as the loss takes them; None where the metric reads ranks.

        Shape:
            batch.outputs [n, ...], y [n, ...] -> [n].
        """
        raise NotImplementedError

    def update(
        self, batch: BatchResults, y: NDArray[Any] | None, weight: NDArray[Any] | None
    ) -> None:
        """Take in a batch.

        Args:
            batch: What the model made of n examples.
            y: Their targets, as the loss takes them; None where the metric reads ranks.
            weight: Their weights [n], or None.
        """
        values = self.values(batch, y)
        if self.weighted and weight is not None:
            self.total += float(np.sum(values * weight, dtype=np.float64))
            self.count += float(np.sum(weight, dtype=np.float64))
        else:
            self.total += float(np.asarray(values).sum(dtype=np.float64))
            self.count += len(values)

    def result(self) -> float:
        """Return the mean so far; NaN before the first example."""
        return self.total / self.count if self.count else float("nan")

    def results(self) -> dict[str, float]:
        """Return the values so far, by the names of `log_names`."""
        return {self.name: self.result()}

    def running(self) -> dict[str, float]:
        """Return `results` to be shown while the pass runs: a little old where they are costly."""
        return self.results()

    def get_config(self) -> dict[str, object]:
        """Return the arguments that make an equal metric."""
        return {"name": self.name, "weighted": self.weighted}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Return the metric of a configuration.

        Args:
            config: What `get_config` returned.
        """
        return cls(**config)
