"""Weights of a file for a network that may lack layers which the file's network had."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

from fastcnn.hdf5.errors import MismatchError
from fastcnn.layers import AuxiliaryClassifier, Layer
from fastcnn.models.sequential import Sequential


def candidates(features: Sequence[Layer], top: Sequence[Layer]) -> list[list[Layer]]:
    """Return the layers, none of them built, that a file's network may have.

    Args:
        features: Those of the body, with its auxiliary classifiers.
        top: Those that tell classes apart.
    """
    whole = copy.deepcopy([*features, *top])
    plain = [layer for layer in whole if not isinstance(layer, AuxiliaryClassifier)]
    return [whole] if len(plain) == len(whole) else [whole, copy.deepcopy(plain)]


def load(
    name: str, model: Sequential, path: str | os.PathLike[str], wholes: Sequence[list[Layer]]
) -> None:
    """Give a network the weights of a file.

    Args:
        name: What the network is called, for errors.
        model: The network.
        path: The file.
        wholes: What `candidates` returned.

    Raises:
        FormatError: It is no such file, is damaged, or does not fit; nothing has changed.
    """
    try:
        model.load_weights(path)
    except MismatchError as error:
        if not any(_load_part(model, path, whole) for whole in wholes):
            raise MismatchError(
                f"{name}: {error} For the layers that fit, build it without weights= and call "
                "load_weights(path, skip_mismatch=True)."
            ) from error


def _load_part(model: Sequential, path: str | os.PathLike[str], layers: list[Layer]) -> bool:
    """Return whether the file fits the layers, but for shapes of those that the model lacks; then
    the model has its weights.
    """
    whole = Sequential(layers, model.input_shape)
    wanted = {parameter.path for parameter in model.parameters}
    stored = {parameter.path: parameter for parameter in whole.parameters}
    if not wanted < set(stored):
        return False
    lacking = {path.rpartition("/")[0] for path in set(stored) - wanted}
    try:
        report = whole.load_weights(path, skip_mismatch=True)
    except MismatchError:
        return False
    if not set(report.skipped) <= lacking:
        return False
    for parameter in model.parameters:
        parameter.value[...] = stored[parameter.path].value
    return True
