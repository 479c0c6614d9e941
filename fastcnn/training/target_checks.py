"""Checks of targets and weights: labels or dense targets, weights of examples and of classes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses import Loss
from fastcnn.training import loss_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils.arrays import array as array_of
from fastcnn.utils.arrays import finite, shape_text

SIGNS = (-1.0, 1.0)
"""The range of targets that say no and yes by their sign."""

MOST_NAMES = 10
"""How many names of classes an error shows."""


def labels(
    model: ModelSettings, y: object, count: int, name: str = "y", one_hot: bool = False
) -> NDArray[Any]:
    """Targets for `count` images in the form that the model's loss takes.

    With `one_hot`, whole-number labels become one-hot rows where the loss takes such.
    """
    if y is None:
        raise ValueError(f"{name} must hold the labels of the {count} images. Received None.")
    _refuse_names(y, name)
    array = array_of(y, name)
    check = _sparse if model.loss.target == "sparse" else _dense
    if one_hot and check is _dense and model.loss.has_classes and array.ndim == 1:
        classes = model.output_shape[-1]
        array = np.eye(classes, dtype=np.float32)[_sparse(model, array, name)]
    targets: NDArray[Any] = check(model, array, name)
    if len(targets) != count:
        raise ValueError(
            f"{name} must have one entry for each of the {count} images in x. "
            f"Received {len(targets)}."
        )
    return targets


def _refuse_names(y: object, name: str) -> None:
    """TypeError, with how to number them, for labels that are texts."""
    if isinstance(y, np.ndarray) and y.dtype.kind in "fiub":
        return
    with contextlib.suppress(ValueError):  # of rows of unequal lengths
        array = np.asarray(y)
        texts = array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat)
        if array.size and (texts or array.dtype.kind in "US"):
            names = sorted(set(array.astype(str).flat))
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            raise TypeError(
                f"{name} must hold numbers. Received the names of {len(names)} classes, "
                f"{', '.join(names[:MOST_NAMES])}{more}: number them with names, y = "
                "numpy.unique(y, return_inverse=True), and set model.class_names = names.tolist()."
            )


def _sparse(model: ModelSettings, array: NDArray[Any], name: str) -> NDArray[np.int32]:
    classes = model.output_shape[-1]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = array.ndim == 2 and array.shape[1] == classes
        hint = (
            "; these look like one-hot rows: pass y.argmax(axis=1), or compile with "
            "loss='categorical_crossentropy'"
        )
        raise ValueError(
            f"{name} must be whole-number labels of shape (n,) for the loss '{model.loss.name}'. "
            f"Received shape {array.shape}{hint if one_hot else ''}."
        )
    if array.dtype.kind not in "iub":
        raise TypeError(
            f"{name} must be whole-number labels, such as int32. Received dtype {array.dtype}; "
            "convert them with y.astype('int32')."
        )
    if array.size and (array.min() < 0 or array.max() >= classes):
        outside = np.flatnonzero((array < 0) | (array >= classes))
        raise ValueError(
            f"{name} must hold labels from 0 to {classes - 1}: layer '{model.layers[-1].name}' "
            f"gives {classes} outputs. Received the label {array[outside[0]]} at position "
            f"{outside[0]}."
        )
    return np.ascontiguousarray(array, np.int32)


def _dense(model: ModelSettings, array: NDArray[Any], name: str) -> NDArray[np.float32]:
    expected = tuple(model.output_shape)
    if array.ndim == 1 and expected == (1,):
        array = array[:, None]
    if array.shape[1:] != expected or not array.ndim:
        hint = (
            f"; these look like labels: pass numpy.eye({expected[-1]}, dtype='float32')[y], or "
            "compile with loss='sparse_categorical_crossentropy'"
        )
        like_labels = array.ndim == 1 and array.dtype.kind in "iu" and len(expected) == 1
        raise ValueError(
            f"{name} must have shape {shape_text('n', expected)} for the loss '{model.loss.name}', "
            f"like the outputs of layer '{model.layers[-1].name}'. "
            f"Received shape {array.shape}{hint if like_labels else ''}."
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers. Received dtype {array.dtype}.")
    targets = np.ascontiguousarray(array, np.float32)
    finite(targets, name)
    _check_range(model.loss, targets, name)
    return _signs(targets, model.loss, name) if model.loss.target_range == SIGNS else targets


def _check_range(loss: Loss, targets: NDArray[np.float32], name: str) -> None:
    if loss.target_range is None or not targets.size:
        return
    least, most = loss.target_range
    low, high = float(targets.min()), float(targets.max())
    if low < least or high > most:
        raise ValueError(
            f"{name} must lie between {least:g} and {most:g} for the loss '{loss.name}'. "
            f"Received values from {low:g} to {high:g}."
        )


def _signs(targets: NDArray[np.float32], loss: Loss, name: str) -> NDArray[np.float32]:
    """Targets of -1 and 1 from such or from 0 and 1."""
    between = np.argwhere((targets != -1) & (targets != 0) & (targets != 1))
    if len(between):
        raise ValueError(
            f"{name} must be -1 or 1, or 0 or 1, for the loss '{loss.name}'. "
            f"Received {targets[tuple(between[0])]:g} at {between[0].tolist()}."
        )
    if not (targets == 0).any():
        return targets
    if (targets == -1).any():
        raise ValueError(
            f"{name} must be either -1 and 1 or 0 and 1 for the loss '{loss.name}'. "
            "Received both -1 and 0."
        )
    return 2 * targets - 1


def sample_weight(weight: object, count: int, name: str) -> NDArray[np.float32] | None:
    """Weights of `count` examples as float32 [count]; None stays None."""
    if weight is None:
        return None
    array = array_of(weight, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers. Received dtype {array.dtype}.")
    if array.shape != (count,):
        raise ValueError(
            f"{name} must have one number for each of the {count} images, shape ({count},). "
            f"Received shape {array.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        raise ValueError(
            f"{name} must hold finite numbers of at least 0. "
            f"Received {array[wrong[0]]} at position {wrong[0]}."
        )
    return np.array(array, np.float32)


def classes(model: ModelSettings, targets: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each example, int64 [n], from targets that `labels` gave."""
    if targets.ndim == 1:
        return targets.astype(np.int64)
    return (targets[:, 0] > 0.5).astype(np.int64) if is_binary(model) else targets.argmax(axis=1)


def has_classes(model: ModelSettings) -> bool:
    """Whether the model's loss tells classes apart, so that an example has one."""
    return bool(model.loss.has_classes) or is_binary(model)


def refuse_without_classes(model: ModelSettings, name: str, instead: str) -> None:
    """ValueError, with what to use instead, where the model's loss knows no classes."""
    if not has_classes(model):
        raise ValueError(
            f"{name} needs a loss with classes. Received the loss '{model.loss.name}'; {instead}."
        )


def class_weight(
    model: ModelSettings, weights: object, classes: NDArray[np.int64] | None, name: str
) -> NDArray[np.float32]:
    """The weight of each class, float32 [classes]; 1 for those not named.

    weights: a mapping, or "balanced" for examples / (classes that occur * examples of the class),
    counted over `classes`, that of each training example; None where they are not known.
    """
    balanced = isinstance(weights, str) and weights == "balanced"
    if not isinstance(weights, Mapping) and not balanced:
        received = repr(weights) if isinstance(weights, str) else type(weights).__name__
        raise TypeError(
            f"{name} must be a dict from class to weight, such as {{0: 1.0, 1: 2.5}}, or "
            f"'balanced'. Received {received}."
        )
    refuse_without_classes(model, name, "use sample_weight")
    count = 2 if is_binary(model) else model.output_shape[-1]
    if not isinstance(weights, Mapping):
        return _balanced(classes, count, name)
    table = np.ones(count, np.float32)
    for label, weight in weights.items():
        whole_label = isinstance(label, Integral) and not isinstance(label, bool)
        if not whole_label or not 0 <= int(label) < count:
            raise ValueError(f"{name} must name classes from 0 to {count - 1}. Received {label!r}.")
        if not isinstance(weight, Real) or not math.isfinite(weight) or float(weight) < 0:
            raise ValueError(
                f"{name} must give finite weights of at least 0. "
                f"Received {weight!r} for class {label}."
            )
        table[int(label)] = weight
    return table


def _balanced(classes: NDArray[np.int64] | None, count: int, name: str) -> NDArray[np.float32]:
    if classes is None:
        raise ValueError(
            f"{name} must be a dict where the labels are not known beforehand. Received 'balanced'."
        )
    occurring = np.bincount(classes, minlength=count)
    share = len(classes) / np.count_nonzero(occurring)
    return np.where(occurring, share / np.maximum(occurring, 1), 1.0).astype(np.float32)


def is_binary(model: ModelSettings) -> bool:
    """Whether the one output of a model tells two classes apart, with class 1 above a threshold: by
    its loss, or, of a model without one, since it ends in a sigmoid."""
    if tuple(model.output_shape) != (1,):
        return False
    if model.loss is None:
        return loss_checks.ending(model.layers) == "sigmoid"
    return bool(model.loss.yes_no)
