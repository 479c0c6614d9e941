"""Callbacks of a training: Keras's names, hooks and defaults."""

from fastcnn.callbacks.callback import Callback
from fastcnn.callbacks.loggers import CSVLogger, LambdaCallback, LearningRateScheduler
from fastcnn.callbacks.mlflow import MLflowLogger
from fastcnn.callbacks.monitors import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from fastcnn.callbacks.tensorboard import TensorBoard
from fastcnn.callbacks.wandb import WandbLogger

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "MLflowLogger",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "WandbLogger",
]
