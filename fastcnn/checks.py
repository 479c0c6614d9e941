"""Checks of what a user hands to a model, made before anything is changed.

Each check returns the value in the form that the engine takes, or raises ValueError or TypeError
with a sentence: where, what was expected, what was received.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.batches import Dataset
from fastcnn.hooks import Callback

CHUNK = 1 << 20
"""Values looked at together when images are searched for NaN and infinity."""

UNIT_TARGETS = ("categorical_crossentropy", "binary_crossentropy")
"""Losses, by their names, whose targets are probabilities."""


@dataclass(frozen=True)
class Examples:
    """Checked examples: images (uint8 or float32 [n, *input_shape], or a Dataset), targets
    (int32 [n] or float32 [n, *output_shape]), weights (float32 [n], or None for ones)."""

    x: NDArray[Any] | Dataset
    y: NDArray[Any]
    weight: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.y)


def compiled(model: Any, method: str, training: bool = False) -> None:
    """ValueError where the model lacks what the method needs: a loss, an optimizer, metrics that
    go with the loss and have different names."""
    if model.loss is None or (training and model.optimizer is None):
        raise ValueError(
            f"{method}: the model must be compiled first, for example with "
            "model.compile('adam', loss='sparse_categorical_crossentropy', metrics=['accuracy']). "
            "Received a model without a loss."
        )
    if model.loss.has_classes and len(model.output_shape) != 1:
        raise ValueError(
            f"{method}: the loss '{model.loss.name}' needs one score a class. "
            f"Received outputs of shape {_shape('n', model.output_shape)} from layer "
            f"'{model.layers[-1].name}'; add Flatten or GlobalAveragePooling2D, and Dense."
        )
    seen = {"loss"}
    for metric in model.metrics:
        metric.prepare(model.loss, tuple(model.output_shape))
        if metric.name in seen:
            raise ValueError(
                f"{method}: each metric must have a name of its own, other than 'loss'. "
                f"Received '{metric.name}' twice; give one of them name=."
            )
        seen.add(metric.name)


def callbacks(value: Any) -> list[Callback]:
    """fit's callbacks as a list."""
    given = [] if value is None else value if isinstance(value, list | tuple) else [value]
    for callback in given:
        if not isinstance(callback, Callback):
            hint = "; make an object of the class" if isinstance(callback, type) else ""
            raise TypeError(
                "fit: callbacks must be a list of fastcnn.callbacks.Callback objects. "
                f"Received {callback!r}{hint}."
            )
    return list(given)


def weights(value: Any, parameter: Any) -> NDArray[np.float32]:
    """A parameter's new values: finite float32 of its shape."""
    array = _array(value, parameter.path)
    if array.dtype.kind == "c" or array.shape != parameter.shape:
        raise ValueError(
            f"{parameter.path}: expected shape {parameter.shape}. "
            f"Received {array.dtype} of shape {array.shape}."
        )
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    _finite(array, parameter.path)
    return array


def examples(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
    name: str = "fit: ",
) -> Examples:
    """Images, targets and weights that belong together."""
    found = images(model, x, f"{name}x")
    if isinstance(found, Dataset):
        if y is not None:
            raise ValueError(
                f"{name}y must be None where x is a Dataset, which has its own labels. "
                f"Received {type(y).__name__}."
            )
        y = found.labels
    targets = labels(model, y, len(found), f"{name}y")
    weight = _sample_weight(sample_weight, len(found), f"{name}sample_weight")
    by_class = _class_weight(model, class_weight, targets, f"{name}class_weight")
    if weight is None or by_class is None:
        return Examples(found, targets, by_class if weight is None else weight)
    return Examples(found, targets, weight * by_class)


def images(model: Any, x: Any, name: str = "x") -> NDArray[Any] | Dataset:
    """Images as C-contiguous uint8 or float32 [n, *input_shape], finite, n > 0; or a Dataset."""
    if isinstance(x, Dataset):
        if not len(x):
            raise ValueError(f"{name} must hold at least one image. Received an empty Dataset.")
        return x
    array = _array(x, name)
    if array.dtype.kind != "f" and array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be images of dtype uint8 or float32. Received dtype {array.dtype}; "
            "convert them with x.astype('float32')."
        )
    expected = tuple(model.input_shape)
    if array.shape[1:] != expected or not array.ndim:
        raise ValueError(
            f"{name} must have shape {_shape('n', expected)}, the input of layer "
            f"'{model.layers[0].name}'. Received shape {array.shape}{_hint(array.shape, expected)}."
        )
    if not len(array):
        raise ValueError(f"{name} must hold at least one image. Received shape {array.shape}.")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    _finite(array, name)
    return array


def labels(model: Any, y: Any, count: int, name: str = "y") -> NDArray[Any]:
    """Targets for `count` images in the form that the model's loss takes."""
    if y is None:
        raise ValueError(f"{name} must hold the labels of the {count} images. Received None.")
    array = _array(y, name)
    check = _sparse if model.loss.target == "sparse" else _dense
    found: NDArray[Any] = check(model, array, name)
    if len(found) != count:
        raise ValueError(
            f"{name} must have one entry for each of the {count} images in x. "
            f"Received {len(found)}."
        )
    return found


def _sparse(model: Any, array: NDArray[Any], name: str) -> NDArray[np.int32]:
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
    outside = np.flatnonzero((array < 0) | (array >= classes))
    if len(outside):
        raise ValueError(
            f"{name} must hold labels from 0 to {classes - 1}: layer '{model.layers[-1].name}' "
            f"gives {classes} outputs. Received the label {array[outside[0]]} at position "
            f"{outside[0]}."
        )
    return np.ascontiguousarray(array, np.int32)


def _dense(model: Any, array: NDArray[Any], name: str) -> NDArray[np.float32]:
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
            f"{name} must have shape {_shape('n', expected)} for the loss '{model.loss.name}', "
            f"like the outputs of layer '{model.layers[-1].name}'. "
            f"Received shape {array.shape}{hint if like_labels else ''}."
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers. Received dtype {array.dtype}.")
    targets = np.ascontiguousarray(array, np.float32)
    _finite(targets, name)
    if model.loss.name in UNIT_TARGETS and targets.size:
        low, high = float(targets.min()), float(targets.max())
        if low < 0.0 or high > 1.0:
            raise ValueError(
                f"{name} must lie between 0 and 1 for the loss '{model.loss.name}'. "
                f"Received values from {low:g} to {high:g}."
            )
    return targets


def _sample_weight(weight: Any, count: int, name: str) -> NDArray[np.float32] | None:
    if weight is None:
        return None
    array = _array(weight, name)
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
    return np.ascontiguousarray(array, np.float32)


def _class_weight(
    model: Any, weights: Any, targets: NDArray[Any], name: str
) -> NDArray[np.float32] | None:
    """The weight of each example by its class; classes not named weigh 1."""
    if weights is None:
        return None
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"{name} must be a dict from class to weight, such as {{0: 1.0, 1: 2.5}}. "
            f"Received {type(weights).__name__}."
        )
    binary = model.loss.name == "binary_crossentropy" and tuple(model.output_shape) == (1,)
    if not model.loss.has_classes and not binary:
        raise ValueError(
            f"{name} needs a loss with classes. Received the loss '{model.loss.name}'; "
            "use sample_weight."
        )
    classes = 2 if binary else model.output_shape[-1]
    table = np.ones(classes, np.float32)
    for label, weight in weights.items():
        whole_label = isinstance(label, Integral) and not isinstance(label, bool)
        if not whole_label or not 0 <= int(label) < classes:
            raise ValueError(
                f"{name} must name classes from 0 to {classes - 1}. Received {label!r}."
            )
        if not isinstance(weight, Real) or not math.isfinite(weight) or float(weight) < 0:
            raise ValueError(
                f"{name} must give finite weights of at least 0. "
                f"Received {weight!r} for class {label}."
            )
        table[int(label)] = weight
    if targets.ndim == 1:
        return table[targets]
    return table[(targets[:, 0] > 0.5).astype(np.int64) if binary else targets.argmax(axis=1)]


def _array(value: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array. Received rows of unequal lengths.") from error
    if array.dtype.kind not in "fiubc":
        raise TypeError(
            f"{name} must be an array of numbers. "
            f"Received {type(value).__name__} of dtype {array.dtype}."
        )
    return array


def _finite(array: NDArray[np.float32], name: str) -> None:
    """ValueError naming the first NaN or infinity."""
    rows = max(1, CHUNK // max(1, array[0].size)) if len(array) else 1
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        # A finite sum proves a chunk finite, at half the cost of isfinite; else look closely.
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(part.sum()):
                continue
        wrong = np.argwhere(~np.isfinite(part))
        if len(wrong):
            place = tuple(wrong[0])
            value = part[place]
            position = ", ".join(str(int(i)) for i in (place[0] + start, *place[1:]))
            raise ValueError(f"{name} must hold finite numbers. Received {value} at [{position}].")


def _shape(first: str, rest: tuple[int, ...]) -> str:
    return f"({', '.join([first, *map(str, rest)])}{')' if rest else ',)'}"


def _hint(received: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What to do about the commonest wrong shapes, as the end of a sentence."""
    if expected[-1:] == (1,) and received[1:] == expected[:-1]:
        return "; add the channel axis with x[..., None]"
    if len(expected) == 3 and received[1:] == (expected[2], expected[0], expected[1]):
        return "; move the channels last with x.transpose(0, 2, 3, 1)"
    if received == expected:
        return "; add the batch axis with x[None]"
    return ""
