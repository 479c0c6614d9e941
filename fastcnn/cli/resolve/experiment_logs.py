"""The trackers of experiments that --log names."""

from __future__ import annotations

from collections.abc import Sequence

from fastcnn.callbacks import Callback, MLflowLogger, TensorBoard, WandbLogger
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve.run_folder import RunFolder


def loggers(names: Sequence[str], folder: RunFolder) -> list[Callback]:
    """The callbacks of trackers.

    Args:
        names: Those of options.train.LOGS.
        folder: The training's, whose name a run has.

    Raises:
        UsageError: A tracker is not installed.
    """
    try:
        return [_logger(name, folder) for name in dict.fromkeys(names)]
    except ImportError as error:
        raise UsageError(f"--log: {error}") from error


def _logger(name: str, folder: RunFolder) -> Callback:
    if name == "tensorboard":
        return TensorBoard(folder.logs)
    run = folder.path.resolve().name
    return MLflowLogger(run_name=run) if name == "mlflow" else WandbLogger(name=run)
