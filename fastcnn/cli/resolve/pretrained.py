"""A network that begins with ImageNet's weights, for other classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from fastcnn import applications
from fastcnn.applications import pretrained
from fastcnn.applications.network import IMAGENET
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.data.images.decoder import Decoder
from fastcnn.models.sequential import Sequential
from fastcnn.saving import endings
from fastcnn.utils import messages

NONE = "none"
"""What --init and --freeze say where nothing is meant, though a preset would choose it."""


def is_wanted(wanted: Settings) -> bool:
    """Whether the training begins with ImageNet's weights; UsageError where it cannot."""
    if wanted.init != IMAGENET:
        return False
    if not models.is_network(wanted.model):
        raise UsageError(
            f"--init imagenet is for networks by name. '{wanted.model}' has its own weights: "
            "leave it out."
        )
    return True


def scales_as_pytorch(wanted: Settings, images: ImageSet, shape: tuple[int, ...]) -> bool:
    """Whether images are scaled as networks of PyTorch expect them, whose weights are begun with;
    said where they are."""
    if wanted.init is None or not endings.has(wanted.init, endings.PYTORCH):
        return False
    if not images.raw or shape[-1:] != (3,):
        return False
    messages.say(
        "Note: images are scaled as PyTorch's networks are trained, by ImageNet's mean and "
        "deviation of each colour."
    )
    return True


def decoder(name: str) -> Decoder:
    """What makes images of files in the size that a network was trained on."""
    height, width, _ = inspect.signature(_function(name)).parameters["input_shape"].default
    return Decoder(height, width, resize="crop")


def network(wanted: Settings, images: ImageSet, shape: tuple[int, ...]) -> Sequential:
    """The network with ImageNet's weights and a new last layer for the images' classes."""
    if not images.raw or shape[-1:] != (3,):
        raise UsageError(
            "--init imagenet: such weights are for colour pictures of pixels from 0 to 255. Those "
            f"of '{images.name}' have shape {shape} and numbers of {images.parts[-1].dtype}."
        )
    function = _function(wanted.model)
    weights = pretrained.weights_of(function.__name__)
    version = {} if weights is None or weights.version is None else {"version": weights.version}
    model = function(
        input_shape=shape, include_top=False, weights=IMAGENET, seed=wanted.seed, **version
    )
    model.replace_head(images.class_names or images.classes)
    place = pretrained.at_hand(function.__name__)
    told = f", {place.place}" if place else ""
    messages.say(
        f"Note: {wanted.model} begins with ImageNet's weights{told}; its last layer, "
        f"'{model.layers[-1].name}', is new."
    )
    return model


def _function(name: str) -> Callable[..., Sequential]:
    try:
        return applications.get(name)
    except ValueError as error:
        raise UsageError(f"MODEL: {error}") from None
