"""What callbacks that watch one value of the logs share."""

from __future__ import annotations

import math
from typing import Any

from fastcnn.callbacks.callback import Callback, Logs
from fastcnn.layers.containers import auxiliary_classifiers
from fastcnn.utils import arguments, messages, naming


class Monitor(Callback):
    """A callback that watches one value of the logs and knows when it improved."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'. Received {mode!r}."
            )
        if not isinstance(monitor, str):
            raise TypeError(
                f"{type(self).__name__}: monitor must be the name of a value, such as 'val_loss'. "
                f"Received {monitor!r}."
            )
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(arguments.number(self, "min_delta", min_delta))
        self.best: float | None = None

    def _why_fixed(self, name: str) -> str | None:
        if name in ("monitor", "mode"):
            return ": the best value was found by it. Make a new callback"
        return super()._why_fixed(name)

    def _remake(self, name: str, value: object) -> None:
        best = self.best
        super()._remake(name, value)
        if name != "initial_value_threshold":
            self._assign(best=best)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        if self.monitor not in params["metrics"]:
            raise ValueError(
                f"{type(self).__name__}: monitor must be one of the values of this training: "
                f"{', '.join(params['metrics'])}. Received '{self.monitor}'."
                f"{_hint(self.monitor, params['metrics'])}"
            )
        self.direction = self._direction() if self.mode == "auto" else self.mode

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        for side in auxiliary_classifiers(getattr(self.model, "layers", ())):
            name = name.removeprefix(f"{side.path}_")
        if name in ("loss", "learning_rate"):
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            if name in metric.log_names:
                return str(metric.direction)
        raise ValueError(
            f"{type(self).__name__}: mode must be 'min' or 'max' for monitor '{self.monitor}', "
            "whose better direction is not known. Received 'auto'."
        )

    def watched(self, logs: Logs | None) -> float | None:
        """Return the monitored value; None after an epoch that did not measure it."""
        return (logs or {}).get(self.monitor)

    def improved(self, value: float, reference: float | None) -> bool:
        """Say whether value is better than reference by more than min_delta; NaN never is."""
        if math.isnan(value):
            return False
        if reference is None:
            return True
        if self.direction == "min":
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def say(self, sentence: str) -> None:
        """Print on stderr, where the progress goes."""
        messages.say(sentence)


def _hint(name: str, names: list[str]) -> str:
    """What was probably meant by a name that is none of the values of a training."""
    validated = any(name.startswith("val_") for name in names)
    others = [] if validated else [f"val_{name}" for name in names]
    if name in others:
        return " Give fit validation data."
    meant = naming.nearest(name, [*names, *others])
    if meant is None:
        return ""
    needed = ", for which fit needs validation data" if meant in others else ""
    return f" Did you mean '{meant}'{needed}?"
