"""Loading a saved model."""

from __future__ import annotations

from typing import Any

from fastcnn.models.sequential import Sequential


def load(path: Any) -> Sequential:
    """Return the model that `Sequential.save` wrote, with its optimizer's state.

    Raises FormatError (a ValueError) that names the file where it is not such a file.
    """
    from fastcnn.saving import model_file

    return model_file.load_model(path, Sequential)
