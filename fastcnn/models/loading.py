"""Loading a saved model."""

from __future__ import annotations

import os

from fastcnn.models.sequential import Sequential


def load(path: str | os.PathLike[str]) -> Sequential:
    """Load a model that `Sequential.save` wrote.

    Args:
        path: The file.

    Returns:
        The model, compiled as it was, with its optimizer's state.

    Raises:
        FormatError: It is not such a file, or is damaged (a ValueError that names the file).
        OSError: It cannot be opened.
    """
    from fastcnn.saving import model_file

    return model_file.load_model(path, Sequential)
