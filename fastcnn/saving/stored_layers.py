"""The layers of an HDF5 file that have weights, in either of Keras's layouts.

Keras 3's `.weights.h5`, and fastcnn's own files, have `layers/<key>/vars/<i>`; the key counts the
layers of a class. Keras 1 and 2, and Keras 3 for a whole model in `.h5`, have a group for each
layer, named as it is, and the layers' and the arrays' order in the attributes `layer_names` and
`weight_names`; the group `model_weights` holds them where the model is in the file too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastcnn.hdf5.reader import Dataset, Group
from fastcnn.hdf5.structures import Damage

STATISTICS_KEY = re.compile(r"normalization(_\d+)?")
STATISTICS = {"mean", "variance", "count"}


class StoredArray(Protocol):
    """An array of a file, of which only the shape is read before it is asked for."""

    path: str

    @property
    def shape(self) -> tuple[int, ...]: ...

    def finite_floats(self) -> NDArray[np.float32]: ...


@dataclass
class StoredLayer:
    """One layer of a file: its key, its user's name for it, its arrays in order.

    Args:
        key: The name of its group.
        name: What its user calls it.
        datasets: Its arrays.
        statistics: Whether they are the mean, the variance and the count of a Normalization.
    """

    key: str
    name: str
    datasets: Sequence[StoredArray]
    statistics: bool = False


@dataclass
class StoredLayers:
    """The layers of a file that have weights.

    Args:
        layers: The layers.
        ordered: Whether they stand in the model's order; otherwise their keys tell which is which.
    """

    layers: list[StoredLayer]
    ordered: bool


def read_layers(root: Group) -> StoredLayers:
    """Return the layers of a file that have weights. Nothing but structure is read.

    Args:
        root: The file's root group.

    Raises:
        Damage: The structure is damaged, or Theano wrote it.
    """
    legacy = legacy_group(root)
    if legacy is not None:
        return StoredLayers(_legacy_layers(legacy), ordered=True)
    if "layers" not in root:
        return StoredLayers([], ordered=False)
    layers, stored = root.group("layers"), []
    for key in layers:
        group = layers.group(key)
        variables = group.group("vars") if "vars" in group else None
        if variables is not None and len(variables):
            name = variables.attributes.get("name", key)
            statistics = STATISTICS_KEY.fullmatch(key) is not None
            stored.append(StoredLayer(key, str(name), numbered(variables), statistics))
    return StoredLayers(stored, ordered=False)


def numbered(variables: Group) -> list[Dataset]:
    """Return the datasets "0", "1", ... of a group.

    Args:
        variables: The group.

    Raises:
        Damage: It has others.
    """
    wanted = [str(number) for number in range(len(variables))]
    if set(wanted) != set(variables):
        raise Damage(
            f"'{variables.path}' should have the arrays {', '.join(wanted)}; "
            f"it has {', '.join(sorted(variables))}"
        )
    return [variables.dataset(number) for number in wanted]


def legacy_group(root: Group) -> Group | None:
    """Return the group of Keras's older layout that holds the layers; None in another layout.

    Args:
        root: The file's root group.
    """
    if "model_weights" in root:
        return root.group("model_weights")
    return root if root.texts("layer_names") is not None else None


def _legacy_layers(group: Group) -> list[StoredLayer]:
    """Return the layers in the model's order; those of a model within it one by one."""
    if group.attributes.get("backend") == "theano":
        raise Damage(
            "it was written by Keras with Theano, whose kernels are laid out differently; "
            "convert it with Keras 2"
        )
    layers = []
    for name in group.texts("layer_names") or []:
        layer_group = _member(group, name)
        by_owner: dict[str, list[str]] = {}
        for weight_name in layer_group.texts("weight_names") or []:
            by_owner.setdefault(weight_name.rpartition("/")[0], []).append(weight_name)
        for owner, weight_names in by_owner.items():
            inner = owner.rpartition("/")[2] if len(by_owner) > 1 else name
            datasets = [_dataset(layer_group, weight_name) for weight_name in weight_names]
            last = {re.sub(r":\d+$", "", text.rpartition("/")[2]) for text in weight_names}
            layers.append(
                StoredLayer(name, inner, datasets, {"mean", "variance"} <= last <= STATISTICS)
            )
    return layers


def _member(group: Group, name: str) -> Group:
    for part in filter(None, name.split("/")):
        group = group.group(part)
    return group


def _dataset(group: Group, name: str) -> Dataset:
    """Return the dataset of a name that has slashes."""
    parent, _, last = name.rpartition("/")
    return _member(group, parent).dataset(last)
