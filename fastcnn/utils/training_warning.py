"""The warnings of a training: what fit can do, but hardly is what was meant."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path


class TrainingWarning(UserWarning):
    """A setting that lets a model train badly, on other data than it seems, or without an effect.

    `warnings.filterwarnings("ignore", category=fastcnn.TrainingWarning)` silences them all, "error"
    makes errors of them.
    """


def warn(sentence: str) -> None:
    """Warn at the line of the user's code that called fastcnn."""
    warnings.warn(sentence, TrainingWarning, stacklevel=_depth_of_caller())


def _depth_of_caller() -> int:
    """The stacklevel, seen from `warn`, of the first frame outside of the package."""
    package = str(Path(__file__).resolve().parents[1]) + os.sep
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, depth = frame.f_back, depth + 1
    return depth
