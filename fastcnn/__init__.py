"""fastcnn: train small convolutional networks fast on a CPU, and read how it is done."""

from __future__ import annotations

from fastcnn import (
    applications,
    callbacks,
    data,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    plots,
    regularizers,
    schedules,
    zoo,
)
from fastcnn.backends.step import NonFiniteError
from fastcnn.models.loading import load
from fastcnn.models.sequential import Sequential
from fastcnn.utils.threads import num_threads, set_num_threads
from fastcnn.utils.training_warning import TrainingWarning

__version__ = "0.1.0"

__all__ = [
    "NonFiniteError",
    "Sequential",
    "TrainingWarning",
    "__version__",
    "applications",
    "callbacks",
    "data",
    "initializers",
    "layers",
    "load",
    "losses",
    "metrics",
    "num_threads",
    "optimizers",
    "plots",
    "regularizers",
    "schedules",
    "set_num_threads",
    "zoo",
]
