"""The model that MODEL means: a network's name, a Python file or a saved model."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path

import fastcnn
from fastcnn import applications, losses
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.data.augment import preprocessing
from fastcnn.layers import Layer, Normalization, Rescaling
from fastcnn.models.predictions import Kind
from fastcnn.models.sequential import Sequential
from fastcnn.saving import endings
from fastcnn.training.loss_checks import ending
from fastcnn.utils import messages
from fastcnn.utils.naming import shown


def named(text: str, **options: object) -> Sequential:
    """The model that `text` means; `options` go to the function of a network's name."""
    path = Path(text)
    if path.suffix == ".py":
        return _from_python(path)
    if path.suffix in (*endings.HDF5, *endings.KERAS):
        return fastcnn.load(existing("MODEL", path))
    if path.suffix in endings.ONNX:
        return fastcnn.from_onnx(existing("MODEL", path))
    if path.suffix or len(path.parts) > 1:
        raise UsageError(
            f"MODEL must be a network's name ({', '.join(applications.NETWORKS)}), a .py file or a "
            f"saved model, an .h5, .keras or .onnx file. Received '{text}'."
        )
    try:
        network = applications.get(text)
    except ValueError as error:
        raise UsageError(f"MODEL: {error}") from None
    return network(**options)


def with_weights(text: str, weights: str | None) -> Sequential:
    """The model that `text` means, with a file's weights where one is given.

    UsageError for a named network without weights: its answers would be chance.
    """
    if weights is None and is_network(text):
        raise UsageError(
            f"--model {text} has no trained weights: give a saved model (--model FILE.h5), or "
            "--weights FILE."
        )
    model = named(text, **({"rescale": True} if is_network(text) else {}))
    if weights is not None:
        model.load_weights(existing("--weights", Path(weights)))
    return model


def existing(option: str, path: Path) -> Path:
    """The path of a file; UsageError, in the name of an option, where there is none."""
    if not path.is_file():
        raise UsageError(f"{option}: there is no file '{shown(str(path))}'.")
    return path


def is_network(text: str) -> bool:
    """Whether MODEL names a network, whose shape and seed are still open."""
    return not Path(text).suffix


def _from_python(path: Path) -> Sequential:
    """What a user's file defines as `model`: a Sequential, or a function that returns one."""
    name = f"model_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, existing("MODEL", path))
    if spec is None or spec.loader is None:
        raise UsageError(f"MODEL: '{path}' cannot be read as Python.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, for one, look their module up by its name.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        model = getattr(module, "model", None)
        if callable(model) and not isinstance(model, Sequential):
            model = model()
    except (Exception, SystemExit) as error:
        raise UsageError(f"MODEL: '{path}' fails: {type(error).__name__}: {error}") from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    if not isinstance(model, Sequential):
        raise UsageError(
            f"MODEL: '{path}' must define `model`, a fastcnn.Sequential or a function without "
            f"arguments that returns one. Found {type(model).__name__}."
        )
    return model


def class_count(model: Sequential) -> int:
    """How many classes the model tells apart; UsageError where its outputs are no scores."""
    if len(model.output_shape) != 1:
        raise UsageError(
            f"The model must give one score a class. Its outputs have shape {model.output_shape}."
        )
    return max(2, model.output_shape[0])


def check_shape(
    model: Sequential, images: ImageSet, augmented: tuple[int, ...] | None = None
) -> None:
    """UsageError where the model takes images of another shape; `augmented` is theirs after
    augmentation."""
    shape = augmented or images.shape
    with suppress(ValueError):
        shape = preprocessing.output_shape(model.preprocessing, shape)
    if shape != model.input_shape:
        expected = ", ".join(["n", *map(str, model.input_shape)])
        raise UsageError(
            f"The model takes images of shape ({expected}). Those of '{images.name}' have shape "
            f"{shape}{' after augmentation and preprocessing' if shape != images.shape else ''}."
        )


def check_classes(model: Sequential, images: ImageSet) -> None:
    """UsageError where model and data have different classes."""
    if images.kind != "classes":
        if model.output_shape != (images.outputs,):
            raise UsageError(
                f"The data '{images.name}' are of {images.outputs} {_WORDS[images.kind]}. The "
                f"model's outputs have shape {model.output_shape}."
            )
        return
    classes = class_count(model)
    named = images.class_names is not None
    if images.classes > classes or (named and images.classes != classes):
        raise UsageError(
            f"The model tells {classes} classes apart. The data '{images.name}' have "
            f"{images.classes}."
        )


def scales(model: Sequential) -> bool:
    """Whether the model itself brings pixel values into its range."""
    first: Layer = model.layers[0]
    return bool(model.preprocessing) or isinstance(first, Rescaling | Normalization)


def note_unscaled(model: Sequential) -> None:
    """Say so where pixel values go into a model as they are."""
    if not scales(model):
        messages.say(
            "Note: the model does not begin with Rescaling(1 / 255), and gets pixel values from 0 "
            "to 255. --scale multiplies them."
        )


def smoothed(loss: losses.Loss, smoothing: float | None) -> losses.Loss:
    """The loss with so much label smoothing, or as it is where none is asked for."""
    config = loss.get_config()
    if smoothing is None:
        return loss
    if "label_smoothing" not in config:
        raise UsageError(f"--label-smoothing: the loss '{loss.name}' has none. Leave it out.")
    return losses.get(
        {"class_name": type(loss).__name__, "config": config | {"label_smoothing": smoothing}}
    )


METRICS = {
    "classes": ["accuracy"],
    "labels": ["binary_accuracy", "subset_accuracy"],
    "values": ["mean_absolute_error", "root_mean_squared_error", "r2_score"],
}
"""Of a training, by what is learnt."""

_WORDS = {"labels": "labels, each true or not", "values": "numbers"}


def fitting_loss(model: Sequential, mixed: bool = False, kind: Kind = "classes") -> losses.Loss:
    """What suits `kind` and what the model ends in: the squared error of values, the cross-entropy
    of labels, or of classes, with shares of `mixed` ones."""
    activation = ending(model.layers)
    if kind == "values":
        return losses.MeanSquaredError()
    if model.output_shape == (1,) or kind == "labels":
        return losses.BinaryCrossentropy(from_logits=activation != "sigmoid")
    kind_of_loss = losses.CategoricalCrossentropy if mixed else losses.SparseCategoricalCrossentropy
    return kind_of_loss(from_logits=activation != "softmax")
