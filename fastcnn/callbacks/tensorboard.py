"""Curves in TensorBoard."""

from __future__ import annotations

import os
from typing import Any

from fastcnn.callbacks.callback import Logs
from fastcnn.callbacks.experiment_logger import ExperimentLogger, Run
from fastcnn.utils import arguments, atomic_file

VALIDATION = "val_"


class TensorBoard(ExperimentLogger):
    """Writes each epoch's values for TensorBoard, under the names that Keras has for them.

    Those of the training are in the folder's train/, those of the validation in its validation/, so
    that both are in one chart: epoch_loss, epoch_accuracy, ... and epoch_learning_rate. Epochs
    count from 0. What the model and its optimizer are stands under Text. Look at it with
    `tensorboard --logdir LOG_DIR`.

    Args:
        log_dir: The folder, made as needed; one for each training.

    Raises:
        ImportError: tensorboardX is not installed.
        TypeError: `log_dir` is no path.
        OSError: Before the training: nothing can be written there.
    """

    package = "tensorboardX"
    extra = "tensorboard"

    def __init__(self, log_dir: str | os.PathLike[str] = "logs") -> None:
        self.log_dir = arguments.path(self, "log_dir", log_dir)
        self._tracker()
        self._writers: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        atomic_file.check(os.path.join(self.log_dir, "train", "events"), make_folders=True)

    def _open(self, settings: Run) -> None:
        lines = (f"    {name}: {value}" for name, value in settings.items())
        self._writer("train").add_text("settings", "\n".join(lines), self.params["initial_epoch"])

    def _send(self, epoch: int, values: Logs) -> None:
        for name, value in values.items():
            part = "validation" if name.startswith(VALIDATION) else "train"
            tag = f"epoch_{name.removeprefix(VALIDATION)}"
            self._writer(part).add_scalar(tag, value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _close(self, failed: bool) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, part: str) -> Any:
        """That of "train" or "validation"; of a training that is resumed, what comes replaces what
        was written of the same epochs.
        """
        if part not in self._writers:
            first = self.params["initial_epoch"]
            self._writers[part] = self._tracker().SummaryWriter(
                os.path.join(self.log_dir, part),
                purge_step=first or None,
                filename_suffix=f".{first}",  # files are named by the second that they begin in
            )
        return self._writers[part]
