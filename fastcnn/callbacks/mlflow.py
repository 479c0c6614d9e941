"""Runs in MLflow."""

from __future__ import annotations

from fastcnn.callbacks.callback import Logs
from fastcnn.callbacks.experiment_logger import ExperimentLogger, Run


class MLflowLogger(ExperimentLogger):
    """Logs each epoch's values, as loss, val_loss, ... and learning_rate, in an MLflow run.

    What the model and its optimizer are become the run's parameters. A run that is active when the
    training begins is logged to, and stays open; else one is started, and ended with the training.
    Where runs are kept says `mlflow.set_tracking_uri` or MLFLOW_TRACKING_URI. Epochs count from 0.

    Args:
        experiment: The name of the experiment that a new run belongs to; None for the active one.
        run_name: The name of a new run; None has MLflow choose one.

    Raises:
        ImportError: mlflow is not installed; its smaller form, mlflow-skinny, is enough.
    """

    package = "mlflow"
    extra = "mlflow"

    def __init__(self, experiment: str | None = None, run_name: str | None = None) -> None:
        self.experiment = experiment
        self.run_name = run_name
        self._tracker()
        self._run_id: str | None = None
        self._started = False

    def _open(self, settings: Run) -> None:
        mlflow = self._tracker()
        run = mlflow.active_run()
        if run is None:
            if self.experiment is not None:
                mlflow.set_experiment(self.experiment)
            run = mlflow.start_run(run_name=self.run_name)
            self._started = True
        self._run_id = run.info.run_id
        kept = mlflow.get_run(self._run_id).data.params  # which cannot change any more
        mlflow.log_params({name: v for name, v in settings.items() if name not in kept})

    def _send(self, epoch: int, values: Logs) -> None:
        self._tracker().log_metrics(values, step=epoch, run_id=self._run_id)

    def _close(self, failed: bool) -> None:
        if self._started:
            self._tracker().end_run("FAILED" if failed else "FINISHED")
            self._started = False
