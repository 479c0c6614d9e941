"""Loading a saved model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcnn.model import Sequential


def load(path: Any) -> Sequential:
    """Return the model that `Sequential.save` wrote, with its optimizer's state."""
    from fastcnn.formats import hdf5

    return hdf5.load_model(path)
