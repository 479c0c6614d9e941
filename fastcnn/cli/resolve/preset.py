"""What an expert would choose for a folder of photographs, where nothing else is asked for."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import PRESETS, Settings
from fastcnn.cli.resolve import dataset, folder_set
from fastcnn.data.folder.file_list import list_folder
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
SIDES = {"fast": 56, "good": 80, "best": 112}
LEAST_EPOCHS, MOST_EPOCHS = 8, 150
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


def completed(asked: dict[str, Any], preset: str | None) -> dict[str, Any]:
    """The settings that are asked for, and for a folder of photographs those that are chosen.

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
            raise UsageError(f"--preset is for folders of pictures. '{data}' is none.")
        return asked
    if preset is None and "model" in asked:
        return asked
    reading = Reading(layout=asked.get("layout") or "auto", quiet=True)
    layout = folder_set.layout_of(data, reading)
    photographs = _seen(layout.parts.get("train", data), reading)
    choices = _choices(preset or DEFAULT, photographs, asked.get("epochs"))
    if {"lr", "optimizer", "schedule", "warmup_epochs"} & asked.keys():
        choices = {name: choice for name, choice in choices.items() if name not in OF_RATE}
    if asked.get("color") in (None, "rgb"):
        choices["augment"] = ([AUGMENT + OF_COLOUR], choices["augment"][1])
    if asked.get("validation") == 0 and "validation_data" not in asked:
        choices.pop("patience")  # there is nothing to be patient about
    choices = {name: choice for name, choice in choices.items() if name not in asked}
    _tell(data, preset or DEFAULT, photographs, choices)
    return {name: value for name, (value, _) in choices.items()} | asked


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


def _choices(
    preset: str, seen: Photographs, asked_epochs: int | None
) -> dict[str, tuple[Any, str]]:
    """Settings by name, each with its reason."""
    side = max(32, min(SIDES[preset], seen.side // 8 * 8))
    most = min(max(SEEN[preset] // seen.images, LEAST_EPOCHS), MOST_EPOCHS)
    epochs = asked_epochs or most
    choices: dict[str, tuple[Any, str]] = {
        "model": ("photo-small", "247 thousand weights, and no large dense layer"),
        "image_size": ([side, side], f"the pictures' shorter sides are {seen.side} or so"),
        "resize": ("crop", "nothing is squeezed"),
        "augment": ([AUGMENT], "no picture is seen twice"),
        "epochs": (epochs, f"{epochs * seen.images:,} pictures in all"),
        "optimizer": ("adamw", "with weight decay"),
        "lr": (0.003, "with a warm-up"),
        "weight_decay": (0.05, "against learning by heart"),
        "schedule": ("cosine", "the last epochs are fine steps"),
        "warmup_epochs": (epochs // 10, "of which the rate rises"),
        "patience": (max(10, epochs // 2), "epochs without a lower validation loss end it"),
    }
    occurring = [count for count in seen.counts if count]
    if max(occurring) > RARE * min(occurring):
        reason = f"classes have from {min(occurring):,} to {max(occurring):,} pictures"
        choices["class_weight"] = ("balanced", reason)
    return choices


def _tell(data: str, preset: str, seen: Photographs, choices: dict[str, tuple[Any, str]]) -> None:
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
        messages.say(f"  --{name.replace('_', '-')} {words}  ({reason})")
    if "model" in choices:
        messages.say(
            "  No weights of other photographs are at hand; a model that was trained on many, "
            "--model FILE --freeze, learns more from few."
        )
