"""Keras's models in: `.keras` of Keras 3, and whole models in `.h5` of Keras 2 and 3."""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.reader import Group, reading
from fastcnn.hdf5.structures import Damage
from fastcnn.interop.graph import as_chain
from fastcnn.interop.imported_model import Model, ModelMaker, Shape, refusals_named
from fastcnn.interop.keras_graph import AxisOf, KerasGraph, PlacedLayer, read_graph
from fastcnn.interop.keras_layers import numbers
from fastcnn.layers import Concat, LayerNormalization, Normalization
from fastcnn.saving import endings, keras_layout
from fastcnn.saving.stored_layers import (
    StoredArray,
    StoredLayer,
    legacy_group,
    numbered,
    read_layers,
)
from fastcnn.saving.weights import ReadArrays
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments, input_file

CONFIG_LIMIT = 16 << 20
"""Bytes of a configuration; those of the largest networks have one or two million."""

Path = str | os.PathLike[str]


@dataclass
class KerasFile:
    """What a file holds: the model's configuration, the Keras that wrote it, the weights' root."""

    config: dict[str, Any]
    version: int
    root: Group


def load_model(path: Path, make: ModelMaker[Model], input_shape: Shape | None = None) -> Model:
    """Return the model of a file of Keras.

    Args:
        path: The file.
        make: Makes the model.
        input_shape: One image's; None for the file's own.

    Raises:
        FormatError: It is no such file, is damaged, or holds what fastcnn has not.
        OSError: It cannot be opened.
    """
    path = arguments.path("load_keras", "path", path)
    endings.check_read(path, endings.KERAS, endings.HDF5)
    with _opened(path) as file, refusals_named(path):
        graph = read_graph(file.config, file.version)
        layers = as_chain(graph.nodes, graph.start, graph.end)
        model = make(layers, _shape(graph, input_shape), graph.name or "sequential")
        _check_axes(graph, model)
        _read_weights(file.root, graph).assign()
    if graph.notes:
        warnings.warn(
            f"load_keras: left out of '{path}', since it matters in training alone: "
            f"{', '.join(graph.notes)}.",
            stacklevel=3,
        )
    return model


def is_keras_model(path: Path) -> bool:
    """Return whether a file is an archive, or HDF5 with Keras's description of a model.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """
    with input_file.opened(path) as file:
        if keras_layout.is_archive(file):
            return True
        try:
            with reading(path, file) as root:
                return "model_config" in root.attributes
        except FormatError:
            return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[KerasFile]:
    with input_file.opened(path) as file:
        if keras_layout.is_archive(file):
            member = keras_layout.archive_member
            config = _json(path, member(path, file, keras_layout.CONFIG))
            metadata = _json(path, member(path, file, keras_layout.METADATA))
            weights: BinaryIO = io.BytesIO(member(path, file, keras_layout.WEIGHTS))
            with reading(path, weights) as root:
                yield KerasFile(config, _version(metadata.get("keras_version")), root)
            return
        with reading(path, file) as root:
            attributes = root.attributes
            text = attributes.get("model_config")
            if not isinstance(text, str):
                raise FormatError(
                    f"'{path}' holds no model of Keras, as model.save writes it: it has no "
                    "'model_config'. Where it holds weights alone, build the model, then "
                    "load_weights."
                )
            version = _version(attributes.get("keras_version"))
            yield KerasFile(_json(path, text.encode()), version, root)


def _json(path: Path, data: bytes) -> dict[str, Any]:
    if len(data) > CONFIG_LIMIT:
        raise FormatError(f"'{path}' has a configuration of {len(data):,} bytes, which is refused.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError(f"'{path}' has a configuration that is not JSON.") from None
    if not isinstance(value, dict):
        raise FormatError(f"'{path}' has a configuration that is no JSON object.")
    return value


def _version(text: object) -> int:
    """Return the major version; 2 where the file does not say it."""
    first = str(text).partition(".")[0]
    return int(first) if first in ("1", "2", "3") else 2


def _shape(graph: KerasGraph, input_shape: Shape | None) -> Shape:
    if input_shape is not None:
        return input_shape
    shape = graph.input_shape
    if shape is None or None in shape:
        raise ValueError(
            f"it leaves its input's shape open ({shape}), and fastcnn's models have one: pass "
            "input_shape=(height, width, channels) to load_keras"
        )
    return tuple(size for size in shape if size is not None)


def _check_axes(graph: KerasGraph, model: ModelSettings) -> None:
    """ValueError where a layer acts along another axis than the last."""
    built = {id(layer) for top in model.layers for layer in top.walk()}
    for placed in graph.placed:
        config, first = placed.settings.config, placed.layers[0] if placed.layers else None
        if first is None or id(first) not in built or isinstance(first, LayerNormalization):
            continue
        axis = AxisOf(placed.settings.label, None, config.get("axis"))
        _check_axis(axis, len(first.input_shape))
    concats = [at for top in model.layers for at in top.walk() if isinstance(at, Concat)]
    by_name = {layer.name: layer for layer in concats}
    for axis in graph.concatenations:
        if axis.layer_name in by_name:
            _check_axis(axis, len(by_name[axis.layer_name].input_shape))


def _check_axis(axis: AxisOf, rank: int) -> None:
    axes = numbers(axis.axis)
    if axes not in (None, -1, rank, [], [-1], [rank]):
        raise ValueError(
            f"{axis.label} acts along axis {axes}, and fastcnn's along the last one alone, -1 or "
            f"{rank}"
        )


def _read_weights(root: Group, graph: KerasGraph) -> ReadArrays:
    """Return the arrays of all parameters, and the statistics of normalizations."""
    find = _LegacyWeights(root).find if legacy_group(root) is not None else _finder(root)
    arrays = ReadArrays([], [])
    for placed in graph.placed:
        first = placed.layers[0] if placed.layers else None
        parameters = [p for layer in placed.layers for p in layer.parameters]
        if isinstance(first, Normalization) and not first.fitted and first.built:
            mean, variance = _moments(placed, find(placed))
            arrays.statistics.append((first, mean, variance))
        elif parameters:
            datasets = find(placed)
            shapes = [dataset.shape for dataset in datasets]
            expected = [tuple(parameter.shape) for parameter in parameters]
            if shapes != expected:
                raise ValueError(
                    f"the weights of {placed.settings.label} should have the shapes {expected}. "
                    f"Received {shapes}"
                )
            read = [dataset.finite_floats() for dataset in datasets]
            arrays.parameters += zip(parameters, read, strict=True)
    return arrays


def _moments(placed: PlacedLayer, datasets: Sequence[StoredArray]) -> list[NDArray[np.float32]]:
    """Return the mean and the variance of a Normalization, which stand before the count."""
    if len(datasets) < 2:
        raise ValueError(f"{placed.settings.label} lacks its mean and variance")
    return [dataset.finite_floats().reshape(-1) for dataset in datasets[:2]]


def _finder(root: Group) -> Callable[[PlacedLayer], Sequence[StoredArray]]:
    """Return what finds a layer's arrays in Keras 3's layout."""

    def find(placed: PlacedLayer) -> Sequence[StoredArray]:
        group = root
        for key in placed.keys:
            group = group.group("layers").group(key)
        return numbered(group.group("vars"))

    return find


class _LegacyWeights:
    """The arrays of Keras's older layout, by the names of their layers."""

    def __init__(self, root: Group) -> None:
        self._by_group: dict[str, list[StoredLayer]] = {}
        for layer in read_layers(root).layers:
            self._by_group.setdefault(layer.key, []).append(layer)

    def find(self, placed: PlacedLayer) -> Sequence[StoredArray]:
        """Return a layer's arrays, in order."""
        stored = self._by_group.get(placed.names[0], [])
        own = [layer for layer in stored if layer.name == placed.names[-1]]
        (layer,) = own if len(own) == 1 else stored if len(stored) == 1 else (None,)
        if layer is None:
            raise Damage(f"it has no weights of {placed.settings.label}")
        return layer.datasets
