"""fastcnn: train small convolutional networks fast on a CPU, and read how it is done."""

from __future__ import annotations

from fastcnn import (
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
from fastcnn.engines.batch import NonFiniteError
from fastcnn.model import Sequential
from fastcnn.saving import load
from fastcnn.threads import num_threads, set_num_threads
from fastcnn.training_warning import TrainingWarning

__version__ = "0.1.0"

__all__ = [
    "NonFiniteError",
    "Sequential",
    "TrainingWarning",
    "__version__",
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
