"""A trained model for other images: a new head, weights to begin with, frozen layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastcnn.applications.network import IMAGENET
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.pretrained import NONE
from fastcnn.interop.pytorch.weights import load_torch_weights
from fastcnn.models.sequential import Sequential
from fastcnn.saving import endings
from fastcnn.utils import messages

MOST_NAMES = 5


def prepared(
    model: Sequential, images: ImageSet, wanted: Settings, shape: tuple[int, ...]
) -> ImageSet:
    """Make a model ready to learn the classes of images; return these as the model counts them.

    A saved model that does not know them gets a new head, weights come from the file of --init
    (ImageNet's are there already), and the layers of --freeze are frozen; each is said when all of
    it could be done. `shape` is that of the images after augmentation.
    """
    models.check_shape(model, images, shape)
    model.epoch = 0
    images, notes = _with_head(model, images, wanted)
    if wanted.init not in (None, IMAGENET, NONE):
        notes.append(_begin_with(model, models.existing("--init", Path(wanted.init))))
    if wanted.freeze not in (None, NONE):
        notes.append(_freeze(model, wanted.freeze))
    for note in notes:
        messages.say(note)
    return images


def _with_head(model: Sequential, images: ImageSet, wanted: Settings) -> tuple[ImageSet, list[str]]:
    trained, names = model.class_names, images.class_names
    if images.kind != "classes":
        models.check_classes(model, images)
        model.class_names = names
        return images, []
    if trained and names and set(names) <= set(trained):
        return images.by_names(trained), []
    notes = []
    saved = Path(wanted.model).suffix in (*endings.HDF5, *endings.KERAS, *endings.ONNX)
    others = bool(trained and names) or _count(model) < images.classes
    others = others or (names is not None and _count(model) != images.classes)
    if saved and others:
        images.refuse_single_class()
        outputs = model.output_shape[0]
        model.replace_head(names or images.classes)
        head = next(layer for layer in reversed(model.layers) if layer.parameters)
        before = f"knew {_listed(trained)}" if trained else f"had {outputs} outputs"
        taught = _listed(names) if names else f"{images.classes} classes"
        notes.append(
            f"Note: the model, which {before}, is taught other classes: {taught}. Layer "
            f"'{head.name}' is new for them; all others keep their weights."
        )
    model.class_names = names
    return images, notes


def _count(model: Sequential) -> int:
    """How many classes the outputs of a model may stand for."""
    shape = model.output_shape
    return max(2, shape[0]) if len(shape) == 1 else 0


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _begin_with(model: Sequential, path: Path) -> str:
    if endings.has(path, endings.PYTORCH):
        pairing = load_torch_weights(model, path, skip_mismatch=True, verbose=False)
        loaded, skipped = len(pairing.modules), list(pairing.skipped)
    else:
        report = model.load_weights(path, skip_mismatch=True)
        loaded, skipped = len(report.loaded), list(report.skipped)
    left_out = f" Left out: {_listed(skipped)}." if skipped else ""
    return f"Note: {loaded} layers begin with the weights of '{path}'.{left_out}"


def _freeze(model: Sequential, until: str) -> str:
    try:
        model.freeze(until or None)
    except ValueError as error:
        raise UsageError(f"--freeze: {error}") from None
    frozen = sum(parameter.size for parameter in model.parameters if not parameter.layer.trainable)
    return f"Note: {frozen:,} weights are frozen."
