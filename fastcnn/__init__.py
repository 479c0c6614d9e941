"""fastcnn: train small convolutional networks fast on a CPU, and read how it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcnn._version import __version__
from fastcnn.distributed import ending as _ending
from fastcnn.utils.lazy_names import lazy_names as _lazy_names

if TYPE_CHECKING:
    from fastcnn import (
        applications,
        callbacks,
        data,
        explain,
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
    from fastcnn.interop.caffe import load_caffe_weights
    from fastcnn.interop.pytorch.weights import load_torch_weights
    from fastcnn.models.gradient_check import check_gradients
    from fastcnn.models.loading import from_onnx, load, load_keras
    from fastcnn.models.predictions import decode_predictions
    from fastcnn.models.sequential import Sequential
    from fastcnn.training.adversarial import AdversarialTraining
    from fastcnn.training.learning_rate_finder import find_learning_rate
    from fastcnn.utils.custom_objects import register_serializable
    from fastcnn.utils.threads import num_threads, set_num_threads
    from fastcnn.utils.training_warning import TrainingWarning

__all__ = [
    "AdversarialTraining",
    "NonFiniteError",
    "Sequential",
    "TrainingWarning",
    "__version__",
    "applications",
    "callbacks",
    "check_gradients",
    "data",
    "decode_predictions",
    "explain",
    "find_learning_rate",
    "from_onnx",
    "initializers",
    "layers",
    "load",
    "load_caffe_weights",
    "load_keras",
    "load_torch_weights",
    "losses",
    "metrics",
    "num_threads",
    "optimizers",
    "plots",
    "register_serializable",
    "regularizers",
    "schedules",
    "set_num_threads",
    "zoo",
]

# `fastcnn --help` need not wait for Numba.
__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "fastcnn.backends.step": "NonFiniteError",
        "fastcnn.interop.caffe": "load_caffe_weights",
        "fastcnn.interop.pytorch.weights": "load_torch_weights",
        "fastcnn.models.gradient_check": "check_gradients",
        "fastcnn.models.loading": "from_onnx load load_keras",
        "fastcnn.models.predictions": "decode_predictions",
        "fastcnn.models.sequential": "Sequential",
        "fastcnn.training.adversarial": "AdversarialTraining",
        "fastcnn.training.learning_rate_finder": "find_learning_rate",
        "fastcnn.utils.custom_objects": "register_serializable",
        "fastcnn.utils.threads": "num_threads set_num_threads",
        "fastcnn.utils.training_warning": "TrainingWarning",
    },
)

_ending.watch_if_started()
