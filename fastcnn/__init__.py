"""fastcnn: train small convolutional networks fast on a CPU, and read how it is done."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastcnn._version import __version__

if TYPE_CHECKING:
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

# Names are imported when they are first used: `fastcnn --help` need not wait for Numba.
_MODULES = {
    "NonFiniteError": "fastcnn.backends.step",
    "Sequential": "fastcnn.models.sequential",
    "TrainingWarning": "fastcnn.utils.training_warning",
    "load": "fastcnn.models.loading",
    "num_threads": "fastcnn.utils.threads",
    "set_num_threads": "fastcnn.utils.threads",
}


def __getattr__(name: str) -> Any:
    """Import what the package offers under a name: a module, or one of its classes or functions."""
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value
    module = f"fastcnn.{name}"
    try:
        if not name.startswith("_"):
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    raise AttributeError(f"module 'fastcnn' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
