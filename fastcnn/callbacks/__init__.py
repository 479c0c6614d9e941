"""Callbacks of a training: Keras's names, hooks and defaults."""

from fastcnn.callbacks.callback import Callback
from fastcnn.callbacks.loggers import CSVLogger, LambdaCallback, LearningRateScheduler
from fastcnn.callbacks.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
]
