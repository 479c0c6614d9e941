"""Weights between a model and a file in Keras's layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.parameter import Parameter
from fastcnn.hdf5.errors import MismatchError
from fastcnn.hdf5.structures import Damage
from fastcnn.hdf5.writer import Contents
from fastcnn.layers.base import Layer
from fastcnn.layers.containers import Residual
from fastcnn.layers.rescaling import Normalization
from fastcnn.saving import keras_layout
from fastcnn.saving.stored_layers import StoredArray, StoredLayer, StoredLayers
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import markup


@dataclass
class LoadReport:
    """What load_weights did: the layers that got weights, and those that did not with the reason.

    Layers of the model are named by their path, layers that only the file has by their key there.
    """

    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return markup.printed(self)

    def __str__(self) -> str:
        lines = [f"loaded: {', '.join(self.loaded) or 'nothing'}"]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def describe(model: ModelSettings) -> Contents:
    """Return the model's weights and moving statistics in Keras's layout; ValueError where they are
    not finite, which reading refuses."""
    contents = Contents()
    for key, layer in keras_layout.keyed(model.layers):
        add_layer(contents, key, layer.name, layer.parameters)
    return contents


def add_layer(contents: Contents, key: str, name: str, parameters: Sequence[Parameter]) -> None:
    """Add a layer's arrays in Keras's layout; ValueError where they are not finite.

    Args:
        contents: What they are added to.
        key: The layer's, as `keras_layout` counts it.
        name: What its user calls it.
        parameters: In Keras's order.
    """
    if parameters:
        contents.names[f"layers/{key}/vars"] = name
    for number, parameter in enumerate(parameters):
        refuse_not_finite(parameter)
        contents.arrays[f"layers/{key}/vars/{number}"] = parameter.value


def refuse_not_finite(parameter: Parameter) -> None:
    """Refuse a parameter's numbers that reading would refuse."""
    wrong = int(np.count_nonzero(~np.isfinite(parameter.value)))
    if wrong:
        raise ValueError(
            f"The model cannot be saved: {wrong:,} of the {parameter.size:,} numbers of "
            f"'{parameter.path}' are not finite. Go back to an earlier file of its weights, and "
            "train with a lower learning rate."
        )


Pairs = list[tuple[Parameter, StoredArray]]
Arrays = list[tuple[Parameter, NDArray[np.float32]]]


@dataclass
class ReadArrays:
    """What is to be put into a model, read and checked."""

    parameters: Arrays
    statistics: list[tuple[Normalization, NDArray[np.float32], NDArray[np.float32]]]

    def assign(self) -> None:
        """Write the arrays into the parameters, and statistics into their layers."""
        assign(self.parameters)
        for layer, mean, variance in self.statistics:
            layer.take(mean.astype(np.float64), variance.astype(np.float64))


class Matching:
    """Which array of a file belongs to which parameter of a model.

    by_name pairs layers by their names, those in both; otherwise every layer of either side must
    have its partner, by its key or, where a file has them in the model's order, by that. What does
    not fit is skipped if skip is set, and raises FormatError otherwise; `source` names the file in
    it.
    """

    def __init__(self, source: str, skip: bool = False, by_name: bool = False) -> None:
        self.pairs: Pairs = []
        self.statistics: list[tuple[Normalization, StoredLayer]] = []
        self.report = LoadReport()
        self._source = source
        self._skip = skip
        self._by_name = by_name
        self._skipped_for_shapes = False

    def match(self, model: ModelSettings, stored: StoredLayers) -> None:
        """Fill pairs and report; change nothing in the model."""
        self._match_statistics(model, [layer for layer in stored.layers if layer.statistics])
        left = self._labelled(stored)
        listed = _listed(layer.name for layer in left.values())
        weighted = [(key, at) for key, at in keras_layout.keyed(model.layers) if at.parameters]
        for number, (key, layer) in enumerate(weighted):
            label = str(number) if stored.ordered else key
            partner = left.pop(layer.name if self._by_name else label, None)
            if partner is not None:
                self._pair(model, layer, partner)
            elif self._by_name:
                self.report.skipped[_path(layer)] = "the file has no layer of that name"
            else:
                shapes = _shapes(parameter.shape for parameter in layer.parameters)
                where = "next" if stored.ordered else f"under 'layers/{key}'"
                self._refuse(
                    _path(layer),
                    f"expected weights {shapes} {where}, and there are none "
                    f"(layers with weights in the file: {listed})",
                )
        for extra in left.values():
            self._leave(extra)
        if not self.report.loaded and (weighted or left):
            self._refuse_nothing([layer.name for _, layer in weighted], listed)

    def read(self) -> ReadArrays:
        """Read what was paired; the model is not touched."""
        parameters = [
            (parameter, dataset.finite_floats().reshape(parameter.shape))
            for parameter, dataset in self.pairs
        ]
        statistics = []
        for layer, stored in self.statistics:
            mean, variance = (dataset.finite_floats() for dataset in stored.datasets[:2])
            statistics.append((layer, mean, variance))
        return ReadArrays(parameters, statistics)

    def _match_statistics(self, model: ModelSettings, stored: list[StoredLayer]) -> None:
        """Pair the model's Normalizations with those of the file, in order."""
        every = (layer for _, layer in keras_layout.keyed(model.layers))
        layers = [layer for layer in every if isinstance(layer, Normalization)]
        for number, partner in enumerate(stored):
            shapes = [dataset.shape for dataset in partner.datasets[:2]]
            if number >= len(layers):
                self.report.skipped[partner.name] = "the model has no such Normalization"
            elif shapes != 2 * [layers[number].input_shape[-1:]]:
                self._refuse(
                    _path(layers[number]),
                    f"expected mean and variance of {layers[number].input_shape[-1]} channels, the "
                    f"file has arrays of shape {_shapes(shapes)}",
                )
            else:
                self.statistics.append((layers[number], partner))

    def _refuse_nothing(self, names: Iterable[str], listed: str) -> None:
        """FormatError where nothing of the file would be loaded."""
        why = "has nothing that fits the model"
        hint = ""
        if self._by_name and not self._skipped_for_shapes:
            why = "has no layer with a name of the model's"
            hint = " Without by_name, layers are paired in order."
        raise MismatchError(
            f"'{self._source}' {why}, so that nothing would be loaded. The model's layers with "
            f"weights: {_listed(names)}. The file's: {listed}.{hint}"
        )

    def _labelled(self, stored: StoredLayers) -> dict[str, StoredLayer]:
        labelled: dict[str, StoredLayer] = {}
        weighted = [layer for layer in stored.layers if not layer.statistics]
        for number, layer in enumerate(weighted):
            by_place = str(number) if stored.ordered else layer.key
            label = layer.name if self._by_name else by_place
            if label in labelled:
                raise Damage(f"two of its layers are named '{label}'")
            labelled[label] = layer
        return labelled

    def _pair(self, model: ModelSettings, layer: Layer, partner: StoredLayer) -> None:
        reason = _difference(layer, partner)
        if reason:
            hint = "" if self._by_name else _hint_of_order(model, layer)
            self._refuse(_path(layer), reason + hint)
            return
        self.pairs += zip(layer.parameters, partner.datasets, strict=True)
        self.report.loaded.append(_path(layer))

    def _leave(self, extra: StoredLayer) -> None:
        if self._by_name:
            self.report.skipped[extra.name] = "the model has no layer of that name"
        else:
            shapes = _shapes(dataset.shape for dataset in extra.datasets)
            self._refuse(
                extra.key, f"the file has weights {shapes} for it, the model has no such layer"
            )

    def _refuse(self, label: str, reason: str) -> None:
        if not self._skip:
            raise MismatchError(
                f"'{self._source}' does not fit the model. Layer '{label}': {reason}. "
                "Nothing was loaded."
            )
        self._skipped_for_shapes = True
        self.report.skipped[label] = reason


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _path(layer: Layer) -> str:
    return str(getattr(layer, "path", layer.name))


def _shapes(shapes: Iterable[tuple[int, ...]]) -> str:
    return " and ".join(str(tuple(shape)) for shape in shapes)


def _hint_of_order(model: ModelSettings, layer: Layer) -> str:
    """What may help where the layer lies in a Residual whose two branches a file counts in turn."""
    for outer in (inner for top in model.layers for inner in top.walk()):
        if isinstance(outer, Residual) and outer.has_shortcut and layer in outer.walk():
            first = not outer.shortcut_first
            return (
                f". Where the file's model adds the {'shortcut' if first else 'body'} first"
                f"{', as those of keras.applications do' if first else ''}, Residual "
                f"'{_path(outer)}' must have shortcut_first={first}"
            )
    return ""


def _difference(layer: Layer, stored: StoredLayer) -> str | None:
    """Why stored cannot be the layer's weights, or None."""
    if len(layer.parameters) != len(stored.datasets):
        names = ", ".join(parameter.name for parameter in layer.parameters)
        shapes = _shapes(dataset.shape for dataset in stored.datasets)
        return (
            f"expected {len(layer.parameters)} arrays ({names}), the file has "
            f"{len(stored.datasets)} of shape {shapes}"
        )
    for parameter, dataset in zip(layer.parameters, stored.datasets, strict=True):
        if _as_dense(parameter.shape) != _as_dense(dataset.shape):
            return (
                f"{parameter.name} has shape {tuple(parameter.shape)} in the model and "
                f"{dataset.shape} in the file ('{dataset.path}')"
            )
    return None


def _as_dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a kernel; that of a 1x1 convolution as a dense layer's, which it is."""
    return tuple(shape[2:] if len(shape) == 4 and shape[:2] == (1, 1) else shape)


def assign(arrays: Arrays) -> None:
    """Write the arrays into the parameters."""
    for parameter, array in arrays:
        parameter.value[...] = array
