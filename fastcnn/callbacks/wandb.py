"""Runs in Weights & Biases."""

from __future__ import annotations

from typing import Any

from fastcnn.callbacks.callback import Logs
from fastcnn.callbacks.experiment_logger import ExperimentLogger, Run


class WandbLogger(ExperimentLogger):
    """Logs each epoch's values, as loss, val_loss, ... and learning_rate, in a run of wandb.

    What the model and its optimizer are become the run's config. A run that is active when the
    training begins is logged to, and stays open; else one is started, and ended with the training.
    For other options call `wandb.init` before; WANDB_MODE=offline keeps runs on this computer.

    Args:
        project: That of a new run; None for wandb's own choice.
        name: That of a new run; None has wandb choose one.

    Raises:
        ImportError: wandb is not installed.
    """

    package = "wandb"
    extra = "wandb"

    def __init__(self, project: str | None = None, name: str | None = None) -> None:
        self.project = project
        self.name = name
        self._tracker()
        self._run: Any = None
        self._started = False

    def _open(self, settings: Run) -> None:
        wandb = self._tracker()
        self._started = wandb.run is None
        if self._started:
            self._run = wandb.init(project=self.project, name=self.name)
        else:
            self._run = wandb.run
        self._run.config.update(settings, allow_val_change=True)

    def _send(self, epoch: int, values: Logs) -> None:
        self._run.log({"epoch": epoch, **values})

    def _close(self, failed: bool) -> None:
        if self._started:
            self._run.finish(exit_code=int(failed))
        self._run, self._started = None, False
