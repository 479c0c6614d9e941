"""What the callbacks that tell a tracker of experiments share."""

from __future__ import annotations

import importlib
import math
from abc import abstractmethod
from typing import Any

from fastcnn._version import __version__
from fastcnn.callbacks.callback import Callback, Logs

Run = dict[str, str | int | float]
"""What is the same in all of a training's epochs, by name."""


class ExperimentLogger(Callback):
    """Tells a tracker the settings of a training, and then each epoch's values."""

    writes_files = True

    package: str
    """The Python package of the tracker, as it is imported."""
    extra: str
    """That of fastcnn which installs it."""

    def _tracker(self) -> Any:
        """The tracker's package; ImportError where it is not installed."""
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs the package {self.package}: "
                f"pip install 'fastcnn[{self.extra}]' installs it."
            ) from error

    @abstractmethod
    def _open(self, settings: Run) -> None:
        """Begin a run."""

    @abstractmethod
    def _send(self, epoch: int, values: Logs) -> None:
        """Tell an epoch's values, those of the validation under val_..."""

    @abstractmethod
    def _close(self, failed: bool) -> None:
        """End the run, which an error may have ended; there may be none."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._open(self._settings())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        step = max(self.model.state.step - 1, 0)
        rate = float(self.model.optimizer.learning_rate_at(step))
        values = {**(logs or {}), "learning_rate": rate}
        self._send(epoch, {n: float(v) for n, v in values.items() if math.isfinite(v)})

    def on_epoch_interrupted(self, epoch: int, logs: Logs | None = None) -> None:
        self.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close(failed=False)

    def on_train_failed(self, error: BaseException) -> None:
        self._close(failed=True)

    def _settings(self) -> Run:
        model = self.model
        optimizer = model.optimizer.get_config()
        settings = {
            "model": model.name,
            "input_shape": "x".join(map(str, model.input_shape)),
            "parameters": sum(parameter.size for parameter in model.parameters),
            "loss": model.loss.name,
            "optimizer": optimizer.pop("name"),
            **optimizer,
            "epochs": self.params["epochs"],
            "steps": self.params["steps"],
            "seed": model.seed,
            "fastcnn": __version__,
        }
        return {name: _plain(value) for name, value in settings.items() if value is not None}


def _plain(value: object) -> str | int | float:
    return value if isinstance(value, str | int | float) else str(value)
