"""What lets a training be resumed: its last epoch, and what its callbacks knew by then."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Sequence
from pathlib import Path

from fastcnn.callbacks import Callback, ModelCheckpoint
from fastcnn.callbacks.callback import Logs
from fastcnn.cli.report import outcome

SECONDS = 2.0
"""Of epochs that are shorter, one in so much time is written, and the last one."""


class LastEpoch(ModelCheckpoint):
    """Writes the model after an epoch, for a training that goes on.

    Args:
        file: Where.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._pending: tuple[int, Logs] | None = None
        self._due = 0.0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._pending = epoch, dict(logs or {})
        if time.monotonic() >= self._due:
            self._write()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._pending = None  # the weights are no longer those of a finished epoch

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._write()

    def _write(self) -> None:
        if self._pending is not None:
            super().on_epoch_end(*self._pending)
            self._pending = None
            self._due = time.monotonic() + SECONDS


class Recall(Callback):
    """Has callbacks that count epochs without an improvement go on counting, where a training is
    resumed: they are told of its earlier epochs again, and change nothing by it.

    Args:
        history: The file of the earlier epochs.
        counting: The callbacks, which come before this one.
        validation_freq: Epochs from one validation to the next.
    """

    def __init__(self, history: Path, counting: Sequence[Callback], validation_freq: int) -> None:
        self.history = history
        self.counting = counting
        self.validation_freq = validation_freq

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.counting or not self.history.exists():
            return
        columns = outcome.columns(self.history)
        rate = self.model.optimizer.learning_rate
        with contextlib.redirect_stderr(io.StringIO()):
            for row, epoch in enumerate(columns["epoch"]):
                if epoch < self.params["initial_epoch"]:
                    values = {name: column[row] for name, column in columns.items()}
                    self._tell(int(epoch), values)
        self.model.optimizer.learning_rate = rate
        self.model.stop_training = False

    def _tell(self, epoch: int, values: Logs) -> None:
        validated = (epoch + 1) % self.validation_freq == 0
        logs = {
            name: value
            for name, value in values.items()
            if validated or not (name.startswith("val_") and math.isnan(value))
        }
        for callback in self.counting:
            callback.on_epoch_end(epoch, logs)
