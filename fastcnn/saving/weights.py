"""Weights between a model and a file in Keras's layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.parameter import Parameter
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.reader import Dataset, Group
from fastcnn.hdf5.structures import Damage
from fastcnn.hdf5.writer import Contents
from fastcnn.layers.base import Layer
from fastcnn.saving import keras_layout
from fastcnn.training.model_settings import ModelSettings


@dataclass
class LoadReport:
    """What load_weights did: the layers that got weights, and those that did not with the reason.

    Layers of the model are named by their path, layers that only the file has by their key there.
    """

    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"loaded: {', '.join(self.loaded) or 'nothing'}"]
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


class StoredArray(Protocol):
    """An array of a file, of which only the shape is read before it is asked for."""

    path: str

    @property
    def shape(self) -> tuple[int, ...]: ...

    def finite_floats(self) -> NDArray[np.float32]: ...


@dataclass
class StoredLayer:
    """The group of one layer in a file: its key, its user's name for it, its arrays in order."""

    key: str
    name: str
    datasets: Sequence[StoredArray]


def describe(model: ModelSettings) -> Contents:
    """The model's weights and moving statistics in Keras's layout; ValueError where they are not
    finite, which reading refuses."""
    contents = Contents()
    for key, layer in keras_layout.keyed(model.layers):
        if layer.parameters:
            contents.names[f"layers/{key}/vars"] = layer.name
        for number, parameter in enumerate(layer.parameters):
            refuse_not_finite(parameter)
            contents.arrays[f"layers/{key}/vars/{number}"] = parameter.value
    return contents


def refuse_not_finite(parameter: Parameter) -> None:
    """ValueError where reading would refuse a parameter's numbers."""
    wrong = int(np.count_nonzero(~np.isfinite(parameter.value)))
    if wrong:
        raise ValueError(
            f"The model cannot be saved: {wrong:,} of the {parameter.size:,} numbers of "
            f"'{parameter.path}' are not finite. Go back to an earlier file of its weights, and "
            "train with a lower learning rate."
        )


def stored_layers(root: Group) -> list[StoredLayer]:
    """The layers of a file that have weights. Nothing but structure is read."""
    if "layers" not in root:
        return []
    layers = root.group("layers")
    stored = []
    for key in layers:
        group = layers.group(key)
        variables = group.group("vars") if "vars" in group else None
        if variables is not None and len(variables):
            name = variables.attributes.get("name", key)
            stored.append(StoredLayer(key, str(name), _numbered(variables)))
    return stored


def _numbered(variables: Group) -> list[Dataset]:
    wanted = [str(number) for number in range(len(variables))]
    if set(wanted) != set(variables):
        raise Damage(
            f"'{variables.path}' should have the arrays {', '.join(wanted)}; "
            f"it has {', '.join(sorted(variables))}"
        )
    return [variables.dataset(number) for number in wanted]


Pairs = list[tuple[Parameter, StoredArray]]


class Matching:
    """Which array of a file belongs to which parameter of a model.

    by_name pairs layers by their names, those in both; otherwise by their keys, and every layer of
    either side must have its partner. What does not fit is skipped if skip is set, and raises
    FormatError otherwise; `source` names the file in it.
    """

    def __init__(self, source: str, skip: bool = False, by_name: bool = False) -> None:
        self.pairs: Pairs = []
        self.report = LoadReport()
        self._source = source
        self._skip = skip
        self._by_name = by_name
        self._unfit = False  # whether a partner was left out for its shapes

    def match(self, model: ModelSettings, stored: Iterable[StoredLayer]) -> None:
        """Fill pairs and report; change nothing in the model."""
        left = self._labelled(stored)
        names = _listed(left)
        for key, layer in keras_layout.keyed(model.layers):
            if not layer.parameters:
                continue
            partner = left.pop(layer.name if self._by_name else key, None)
            if partner is not None:
                self._pair(layer, partner)
            elif self._by_name:
                self.report.skipped[_path(layer)] = "the file has no layer of that name"
            else:
                shapes = _shapes(parameter.shape for parameter in layer.parameters)
                self._refuse(
                    _path(layer),
                    f"expected weights {shapes} under 'layers/{key}', and there are none "
                    f"(layers with weights in the file: {names})",
                )
        if self._by_name and not self.report.loaded and not self._unfit:
            self._refuse_nothing(model, left)
        for label, extra in left.items():
            self._leave(label, extra)

    def _refuse_nothing(self, model: ModelSettings, stored: Iterable[str]) -> None:
        """FormatError where no name is in both."""
        weighted = [layer for _, layer in keras_layout.keyed(model.layers) if layer.parameters]
        raise FormatError(
            f"'{self._source}' has no layer with a name of the model's, so that nothing would be "
            f"loaded. The model's layers with weights: "
            f"{_listed(layer.name for layer in weighted)}. "
            f"The file's: {_listed(stored)}. Without by_name, layers are paired in order."
        )

    def _labelled(self, stored: Iterable[StoredLayer]) -> dict[str, StoredLayer]:
        labelled: dict[str, StoredLayer] = {}
        for layer in stored:
            label = layer.name if self._by_name else layer.key
            if label in labelled:
                raise Damage(f"two of its layers are named '{label}'")
            labelled[label] = layer
        return labelled

    def _pair(self, layer: Layer, partner: StoredLayer) -> None:
        reason = _difference(layer, partner)
        if reason:
            self._refuse(_path(layer), reason)
            return
        self.pairs += zip(layer.parameters, partner.datasets, strict=True)
        self.report.loaded.append(_path(layer))

    def _leave(self, label: str, extra: StoredLayer) -> None:
        if self._by_name:
            self.report.skipped[label] = "the model has no layer of that name"
        else:
            shapes = _shapes(dataset.shape for dataset in extra.datasets)
            self._refuse(
                label, f"the file has weights {shapes} for it, the model has no such layer"
            )

    def _refuse(self, label: str, reason: str) -> None:
        if not self._skip:
            raise FormatError(
                f"'{self._source}' does not fit the model. Layer '{label}': {reason}. "
                "Nothing was loaded."
            )
        self._unfit = True
        self.report.skipped[label] = reason


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _path(layer: Layer) -> str:
    return str(getattr(layer, "path", layer.name))


def _shapes(shapes: Iterable[tuple[int, ...]]) -> str:
    return " and ".join(str(tuple(shape)) for shape in shapes)


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
        if tuple(parameter.shape) != dataset.shape:
            return (
                f"{parameter.name} has shape {tuple(parameter.shape)} in the model and "
                f"{dataset.shape} in the file ('{dataset.path}')"
            )
    return None


def read(pairs: Pairs) -> list[tuple[Parameter, NDArray[np.float32]]]:
    """The arrays for each parameter; the model is not touched."""
    return [(parameter, dataset.finite_floats()) for parameter, dataset in pairs]


def assign(arrays: list[tuple[Parameter, NDArray[np.float32]]]) -> None:
    """Write the arrays into the parameters."""
    for parameter, array in arrays:
        parameter.value[...] = array
