"""How pictures become images of a model: as in its training, where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcnn.training.model_settings import ModelSettings

if TYPE_CHECKING:
    from fastcnn.data.images.decoder import Decoder


def decoder(model: ModelSettings) -> Decoder:
    """Return what makes images of files for a model: that of its training, or one for its input.

    Args:
        model: The model.

    Returns:
        The decoder.

    Raises:
        ValueError: The model's inputs are of a shape that no picture has.
    """
    if model.decoder is not None:
        return model.decoder
    from fastcnn.data.images.decoder import COLOR_MODES, Decoder  # arrays need none

    shape = model.input_shape
    modes = {len(mode): name for name, mode in COLOR_MODES.items()}
    if len(shape) != 3 or shape[2] not in modes:
        raise ValueError(f"The model takes inputs of shape {shape}, which no image file holds.")
    return Decoder(shape[0], shape[1], modes[shape[2]])
