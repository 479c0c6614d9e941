"""A model's weights in a safetensors file: an array for each parameter under its path.

The file's text `fastcnn` is JSON: under "layers", for each layer by its key in Keras's layout, the
names of its arrays in their order, each with the CRC-32 of its bytes.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn._version import __version__
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.structures import Damage
from fastcnn.hdf5.writer import checksum
from fastcnn.saving import keras_layout
from fastcnn.saving.safetensors_file import Tensors
from fastcnn.saving.stored_layers import StoredLayer
from fastcnn.saving.weights import refuse_not_finite
from fastcnn.training.model_settings import ModelSettings

FORMAT = 1
TEXT = "fastcnn"


class StoredTensor:
    """An array of a file, with the checksum that it should have."""

    def __init__(self, path: str, array: NDArray[Any], checksum: object) -> None:
        self.path = path
        self.shape = array.shape
        self._array = array
        self._checksum = checksum

    def finite_floats(self) -> NDArray[np.float32]:
        """Return the numbers; Damage where they are damaged, none, or not finite."""
        if self._array.dtype != np.float32:
            raise Damage(f"'{self.path}' should hold float32, and holds {self._array.dtype}")
        if checksum(self._array) != self._checksum:
            raise Damage(f"it is damaged: the checksum of '{self.path}' is wrong")
        if not np.isfinite(self._array).all():
            raise Damage(f"some numbers of '{self.path}' are not finite")
        return self._array


def describe(model: ModelSettings) -> Tensors:
    """Return the file of a model's weights; ValueError where they are not finite."""
    arrays: dict[str, NDArray[Any]] = {}
    layers: dict[str, dict[str, int]] = {}
    for key, layer in keras_layout.keyed(model.layers):
        for parameter in layer.parameters:
            refuse_not_finite(parameter)
            arrays[parameter.path] = parameter.value
            layers.setdefault(key, {})[parameter.path] = checksum(parameter.value)
    about = {"format": FORMAT, "version": __version__, "layers": layers}
    return Tensors(arrays, {TEXT: json.dumps(about)})


def stored_layers(path: str | os.PathLike[str], tensors: Tensors) -> list[StoredLayer]:
    """Return the layers of a file.

    Raises:
        FormatError: It has no such layout.
    """
    if TEXT not in tensors.texts:
        raise FormatError(
            f"'{path}' has no weights as save_weights writes them. If it has those of a PyTorch "
            "network, fastcnn.load_torch_weights(model, path) reads them."
        )
    try:
        layers = json.loads(tensors.texts[TEXT])["layers"].items()
        return [StoredLayer(key, *_stored(tensors, names)) for key, names in layers]
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise FormatError(f"'{path}' is damaged: its list of layers is no such list.") from None


def _stored(tensors: Tensors, names: dict[str, int]) -> tuple[str, list[StoredTensor]]:
    """Return a layer's name, the last part of its path, and its arrays."""
    arrays = [StoredTensor(name, tensors.arrays[name], value) for name, value in names.items()]
    return arrays[0].path.split("/")[-2], arrays
