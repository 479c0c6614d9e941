"""Checks of what a user hands to a model, made before anything is changed.

Each check returns the value in the form that the engine takes, or raises ValueError or TypeError
with a sentence: where, what was expected, what was received.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.callbacks.callback import Callback, check_hooks
from fastcnn.data import class_labels
from fastcnn.data.dataset import Dataset, image_shape, is_dataset
from fastcnn.data.pipeline.transform import Transform
from fastcnn.graph.parameter import Parameter
from fastcnn.training import loss_checks, target_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.target_checks import labels
from fastcnn.utils.arrays import array, finite, shape_text

__all__ = ["Examples", "callbacks", "compiled", "examples", "images", "labels", "weights"]

PLAIN = Transform()
RENAMING = " To call them otherwise, or to teach it others (None), set model.class_names."


@dataclass(frozen=True)
class Examples:
    """Checked examples: images (uint8 or float32 [n, *input_shape], or a Dataset), targets
    (int32 [n] or float32 [n, *output_shape]), weights (float32 [n], or None for ones)."""

    x: NDArray[Any] | Dataset
    y: NDArray[Any]
    weight: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.y)


def compiled(model: ModelSettings, method: str, training: bool = False) -> None:
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
            f"Received outputs of shape {shape_text('n', model.output_shape)} from layer "
            f"'{model.layers[-1].name}'; add Flatten or GlobalAveragePooling2D, and Dense."
        )
    loss_checks.refuse_misfit(model, model.loss, method)
    seen = {"loss"}
    for metric in model.metrics:
        metric.prepare(model.loss, tuple(model.output_shape))
        for name in metric.log_names:
            if name in seen:
                raise ValueError(
                    f"{method}: each metric must have a name of its own, other than 'loss'. "
                    f"Received '{name}' twice; give one of them name=."
                )
            seen.add(name)
    for side in model.layers.auxiliary_classifiers:
        taken = seen.intersection(f"{side.path}_{name}" for name in seen)
        if taken:
            raise ValueError(
                f"{method}: '{taken.pop()}' is the name of a metric and of what is measured of "
                f"{side.label}. Give one of them another name."
            )


def callbacks(value: object) -> list[Callback]:
    """fit's callbacks as a list."""
    listed = [] if value is None else value if isinstance(value, list | tuple) else [value]
    for callback in listed:
        if not isinstance(callback, Callback):
            hint = "; make an object of the class" if isinstance(callback, type) else ""
            raise TypeError(
                "fit: callbacks must be a list of fastcnn.callbacks.Callback objects. "
                f"Received {callback!r}{hint}."
            )
        check_hooks(callback)
    return list(listed)


def weights(value: object, parameter: Parameter) -> NDArray[np.float32]:
    """A parameter's new values: finite float32 of its shape."""
    values = array(value, parameter.path)
    if values.dtype.kind == "c" or values.shape != parameter.shape:
        raise ValueError(
            f"{parameter.path}: expected shape {parameter.shape}. "
            f"Received {values.dtype} of shape {values.shape}."
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    finite(values, parameter.path)
    return values


def examples(
    model: ModelSettings,
    x: object,
    y: object,
    sample_weight: object = None,
    class_weight: object = None,
    name: str = "fit: ",
    transform: Transform | None = None,
    class_names: Sequence[str] | None = None,
) -> Examples:
    """Images, targets and weights that belong together; `transform` as for `images`.

    Labels become one-hot rows where the loss takes such, for a Dataset and for mixing. Those of a
    Dataset that names its classes are counted as in `class_names`, the model's where it is None.
    """
    pixels = images(model, x, f"{name}x", transform)
    if not isinstance(pixels, np.ndarray):
        if y is not None:
            raise ValueError(
                f"{name}y must be None where x is a Dataset, which has its own labels. "
                f"Received {type(y).__name__}."
            )
        target = dataset_targets(model, pixels, name, class_names)
    else:
        target = target_checks.labels(
            model, y, len(pixels), f"{name}y", bool(transform and transform.mixing)
        )
    weight = target_checks.sample_weight(sample_weight, len(pixels), f"{name}sample_weight")
    return weighted(model, Examples(pixels, target, weight), class_weight, name)


def dataset_targets(
    model: ModelSettings, dataset: Dataset, name: str, class_names: Sequence[str] | None = None
) -> NDArray[Any]:
    """The targets of a Dataset's images in the form that the model's loss takes, counted as in
    `class_names`, the model's where it is None."""
    y = _labels(dataset, f"{name}x", class_names or model.class_names)
    return target_checks.labels(model, y, len(dataset), f"{name}y", one_hot=True)


def _labels(dataset: object, name: str, class_names: Sequence[str] | None) -> object:
    """A Dataset's labels, counted as in `class_names`."""
    if not hasattr(dataset, "labels"):
        raise TypeError(
            f"{name} must have an attribute `labels`, the class of each image: a Dataset has "
            f"__len__, images(indices, out) and labels. Received {type(dataset).__name__} without."
        )
    names = getattr(dataset, "class_names", None)
    if names is None or class_names is None or dataset.labels is None:
        return dataset.labels
    return class_labels.counted(dataset.labels, names, class_names, name, RENAMING)


def weighted(
    model: ModelSettings,
    examples: Examples,
    class_weight: object,
    name: str,
    indices: NDArray[np.int64] | None = None,
) -> Examples:
    """Examples whose weights are multiplied by those of their classes; `indices` are those that
    count for "balanced"."""
    if class_weight is None:
        return examples
    classes = target_checks.classes(model, examples.y)
    counted = classes if indices is None else classes[indices]
    table = target_checks.class_weight(model, class_weight, counted, f"{name}class_weight")
    by_class = table[classes]
    return replace(
        examples, weight=by_class if examples.weight is None else examples.weight * by_class
    )


def images(
    model: ModelSettings, x: object, name: str = "x", transform: Transform | None = None
) -> NDArray[Any] | Dataset:
    """Images as C-contiguous uint8 or float32 [n, ...], finite, n > 0; or a Dataset.

    `transform` is what is done to them before the step, the model's preprocessing where it is None;
    they must then have the model's input shape.
    """
    if transform is None:
        steps = model.preprocessing
        transform = Transform(preprocessing=steps) if steps else PLAIN
    if not isinstance(x, np.ndarray) and is_dataset(x):
        if not len(x):
            raise ValueError(f"{name} must hold at least one image. Received an empty Dataset.")
        _fitting_dataset(model, x, name, transform)
        return x
    return image_array(model, x, name, transform)


def image_array(model: ModelSettings, x: object, name: str, transform: Transform) -> NDArray[Any]:
    """An array's images, as `images` returns them."""
    pixels = array(x, name)
    if pixels.dtype.kind != "f" and pixels.dtype != np.uint8:
        raise TypeError(
            f"{name} must be images of dtype uint8 or float32. Received dtype {pixels.dtype}; "
            "convert them with x.astype('float32')."
        )
    _fitting(model, pixels.shape, name, transform)
    if not len(pixels):
        raise ValueError(f"{name} must hold at least one image. Received shape {pixels.shape}.")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype == np.float32:
        pixels = np.ascontiguousarray(pixels)
    else:
        with np.errstate(over="ignore"):
            pixels = np.ascontiguousarray(pixels, np.float32)
    finite(pixels, name)
    return pixels


def _fitting_dataset(
    model: ModelSettings, dataset: Dataset, name: str, transform: Transform
) -> None:
    dtype = np.dtype(getattr(dataset, "dtype", np.float32))
    if dtype not in (np.uint8, np.float32):
        raise TypeError(f"{name}.dtype must be uint8 or float32. Received {dtype}.")
    shape = image_shape(dataset, tuple(model.input_shape))
    _fitting(model, (len(dataset), *shape), name, transform)


def _fitting(model: ModelSettings, shape: tuple[int, ...], name: str, transform: Transform) -> None:
    """ValueError unless images [n, ...] of this shape become the model's input."""
    expected = tuple(model.input_shape)
    if transform.plain or len(shape) != 1 + len(expected):
        after = shape[1:]
    else:
        try:
            after = transform.output_shape(shape[1:])
        except ValueError as error:
            raise ValueError(f"{name}: images of shape {shape} do not fit. {error}") from error
    if after != expected or not shape:
        done = "" if after == shape[1:] else f", made into {shape_text('n', after)}"
        raise ValueError(
            f"{name} must have shape {shape_text('n', expected)}, the input of layer "
            f"'{model.layers[0].name}'. Received shape {shape}{done}{_hint(shape, expected)}."
        )


def _hint(received: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What to do about the commonest wrong shapes, as the end of a sentence."""
    if expected[-1:] == (1,) and received[1:] == expected[:-1]:
        return "; add the channel axis with x[..., None]"
    if len(expected) == 3 and received[1:] == (expected[2], expected[0], expected[1]):
        return "; move the channels last with x.transpose(0, 2, 3, 1)"
    if received == expected:
        return "; add the batch axis with x[None]"
    return ""
