"""Loading a saved model."""

from __future__ import annotations

from typing import Any

from fastcnn.model import Sequential


def load(path: Any) -> Sequential:
    """Return the model that `Sequential.save` wrote, with its optimizer's state.

    Raises FormatError (a ValueError) that names the file where it is not such a file.
    """
    from fastcnn.formats import hdf5

    return hdf5.load_model(path, Sequential)
