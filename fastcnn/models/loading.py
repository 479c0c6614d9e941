"""Loading a saved model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments
from fastcnn.utils.custom_objects import passed

Path = str | os.PathLike[str]


def load(path: Path, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
    """Load a model that `Sequential.save` wrote.

    A model of Keras is loaded as `load_keras` does.

    Args:
        path: The file.
        custom_objects: Classes and functions of your own that the model is made of, by name, where
            they are not decorated with `register_serializable`; None for none.

    Returns:
        The model, compiled as it was, with its optimizer's state.

    Raises:
        FormatError: It is not such a file, is damaged, or names a class that is neither fastcnn's
            nor yours (a ValueError that names the file).
        TypeError: `custom_objects` is no such mapping.
        OSError: It cannot be opened.
    """
    from fastcnn.interop import keras_import
    from fastcnn.saving import model_file

    path = arguments.path("load", "path", path)
    if keras_import.is_keras_model(path):
        return load_keras(path)
    with passed(custom_objects):
        return model_file.load_model(path, Sequential)


def load_keras(path: Path, input_shape: Sequence[int] | None = None) -> Sequential:
    """Load a model of Keras: its layers and weights, not what it was compiled with.

    Read are `.keras` archives and whole models in `.h5`, of Keras 2 and 3: Sequential and
    functional models, also within each other, that are chains or whose branches part behind one
    layer and meet in one Add, Average or Concatenate, or in a Multiply of a layer's output and what
    is computed from it. Layers of augmentation, regularizers of a user's own and constraints, which
    matter in training alone, are left out with a warning. Nothing in the file is executed.

    Args:
        path: The file.
        input_shape: One image's, (height, width, channels), for a model that leaves it open; None
            for the file's own.

    Returns:
        The model, not compiled.

    Raises:
        FormatError: It is not such a file, is damaged, or a layer of it is one that fastcnn has
            not; the message names the layer (a ValueError).
        OSError: It cannot be opened.
    """
    from fastcnn.interop import keras_import

    shape = None if input_shape is None else tuple(input_shape)
    return keras_import.load_model(path, _model, shape)


def from_onnx(
    path: Path, input_shape: Sequence[int] | None = None, output: str | None = None
) -> Sequential:
    """Load the model of an ONNX file: its layers and weights, ready for `predict` and `compile`.

    The graph may be a chain, or its branches may part behind one node and meet in one Add, Concat
    or Mul. Images come and go as fastcnn has them, [N, H, W, C], whether the file has the channels
    first or last. A file of `Sequential.to_onnx` brings class names and preprocessing along.
    Nothing in a file is executed, no other file is opened, and no size is taken that it does not
    have.

    Args:
        path: The file.
        input_shape: One image's, (height, width, channels), for a graph that leaves it open; None
            for the file's own.
        output: The name of the output that is wanted, of a graph that has several.

    Returns:
        The model, not compiled.

    Raises:
        ImportError: The package `onnx` is not installed.
        FormatError: It is no ONNX file, is damaged, or fastcnn has no layer for one of its nodes;
            the message names the node, its operation and the reason (a ValueError).
        OSError: It cannot be opened.
    """
    from fastcnn.interop import onnx_import

    shape = None if input_shape is None else tuple(input_shape)
    return onnx_import.load_model(path, _model, shape, output)


def _model(layers: Sequence[Layer], input_shape: tuple[int, ...], name: str) -> Sequential:
    return Sequential(layers, input_shape, name=name)
