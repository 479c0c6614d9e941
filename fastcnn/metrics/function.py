"""A function of the user's own as a metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.metrics.base import BatchResults, Metric
from fastcnn.utils import arguments, custom_objects, user_code
from fastcnn.utils.docstrings import described_by

Function = Callable[[NDArray[Any], NDArray[np.float32]], Any]


@described_by(Metric.__doc__)
class FunctionMetric(Metric):
    """The mean over examples of what a function makes of their targets and outputs.

    `metrics=[function]` stands for it. The function is called with batches and must not depend on
    their size: what no mean is, as a correlation over all examples, is a `Metric` of its own.

    Args:
        function: function(y_true, y_pred) returns a number for each example of a batch, or one for
            the batch, which then counts for each.
        name: What it is called in the logs; None takes the function's.
        direction: Which way is better, "max" or "min": read by callbacks with mode="auto".

    Raises:
        TypeError: The function is none, or takes other arguments.
        ValueError: `direction` is neither.
    """

    def __init__(
        self,
        function: Function,
        name: str | None = None,
        weighted: bool = False,
        direction: str = "max",
    ) -> None:
        own = name or str(getattr(function, "__name__", "function"))
        user_code.check_takes(f"The metric '{own}'", "its function", function, "y_true", "y_pred")
        super().__init__(own, weighted)
        arguments.choice(self, "direction", direction, ("max", "min"))
        self.function, self.direction = function, direction

    def values(self, batch: BatchResults, y: NDArray[Any] | None) -> NDArray[Any]:
        label, outputs = f"The metric '{self.name}'", batch.outputs
        with user_code.named(label, "the function"):
            value: object = self.function(np.asarray(y), outputs)
        if np.ndim(value) == 0:  # type: ignore[arg-type]
            value = np.full(len(outputs), value)
        return user_code.returned(label, "its function", value, (len(outputs),))

    def get_config(self) -> dict[str, object]:
        function = custom_objects.name_of(self.function)
        return {"function": function, "direction": self.direction, **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        function = custom_objects.function_of("metric", config["function"])
        return cls(**{**config, "function": function})
