"""The set of a folder of pictures: of its classes, or of its parts for training and validation."""

from __future__ import annotations

import os
import warnings

from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve.image_set import SHARE, ImageSet, refused
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.folder import ImageFolder, from_folder
from fastcnn.data.folder.duplicates import copies_of
from fastcnn.data.folder.layout import Layout, find_layout
from fastcnn.data.images.decoder import Decoder
from fastcnn.utils import messages
from fastcnn.utils.naming import printable, shown

TRAIN = "train"
"""The parts that a training needs are opened."""
MEASURE = "measure"
"""The part that says how good a model is: that for tests, or else for validation."""
LOOK = "look"
"""The part for training alone."""


def opened(
    text: str, reading: Reading, decoder: Decoder, share: float | None, seed: int, purpose: str
) -> ImageSet:
    """The set of a folder.

    What is wrong with its files is printed, and which parts there are.

    Args:
        text: The folder, as it was written.
        reading: How files are read.
        decoder: What makes images of them.
        share: How much of each class is held out; None for `SHARE`, unless the folder has a part
            for validation.
        seed: Of the images that are held out.
        purpose: TRAIN, MEASURE or LOOK.

    Raises:
        UsageError: It cannot be told what the folders are, or the options do not fit them.
    """
    layout = layout_of(text, reading)
    if not layout.parts:
        held_out = SHARE if share is None else share
        return of_dataset(text, _read(text, reading, decoder, held_out, seed))
    if purpose == MEASURE:
        return _measured(text, layout, reading, decoder, share, seed)
    if purpose == LOOK:
        _tell(f"Of '{text}', the part '{_name(layout, 'train')}' is read", reading)
        return of_dataset(text, _whole(layout.parts["train"], reading, decoder))
    return _to_train(text, layout, reading, decoder, share, seed)


def layout_of(text: str, reading: Reading) -> Layout:
    """How a folder is laid out; UsageError where that is a question."""
    try:
        layout = find_layout(text, reading.layout)
    except ValueError as error:
        raise UsageError(f"--layout parts: {error}") from None
    if layout.doubt:
        raise UsageError(
            f"'{layout.root}' may hold classes or the parts of a set: {layout.doubt}. Say which: "
            "--layout parts, or --layout classes."
        )
    return layout


def refuse_parts(text: str, reading: Reading, remedy: str) -> None:
    """UsageError where a folder holds the parts of a set."""
    paths = layout_of(text, reading).parts.values()
    if paths:
        listed = ", ".join(f"'{printable(path)}'" for path in paths)
        raise UsageError(f"'{text}' holds the parts of a set: {remedy}, {listed}.")


def of_dataset(name: str, images: object) -> ImageSet:
    """The set of a Dataset, or of a pair of them for training and validation."""
    train, held = images if isinstance(images, tuple) else (images, None)
    validation = None if held is None else ImageSubset(held, held.labels)
    return ImageSet(
        name, ImageSubset(train, train.labels), None, list(train.class_names), validation
    )


def _to_train(
    text: str, layout: Layout, reading: Reading, decoder: Decoder, share: float | None, seed: int
) -> ImageSet:
    own = layout.parts.get("validation")
    if own and share:
        raise UsageError(
            f"--validation-split: '{text}' has images for validation, "
            f"'{_name(layout, 'validation')}'. Leave it out, or name the folder for training, "
            f"'{printable(layout.parts['train'])}'."
        )
    held_out = 0.0 if own else SHARE if share is None else share
    images = of_dataset(text, _read(layout.parts["train"], reading, decoder, held_out, seed))
    if own and share is None:
        held = _whole(own, reading, decoder)
        part = ImageSubset(held, held.labels)
        images = images.validated_on(part, list(held.class_names), printable(own))
    _tell(_words(text, layout, images), reading)
    return images


def _measured(
    text: str, layout: Layout, reading: Reading, decoder: Decoder, share: float | None, seed: int
) -> ImageSet:
    kind = next((kind for kind in ("test", "validation") if kind in layout.parts), "train")
    if share:
        kind = "train"
    path = layout.parts[kind]
    _tell(f"Measured on '{printable(path)}'", reading)
    if kind == "train":
        return of_dataset(text, _read(path, reading, decoder, share or 0.0, seed))
    images = _whole(path, reading, decoder)
    part, names = ImageSubset(images, images.labels), list(images.class_names)
    if kind == "test":
        return ImageSet(text, None, part, names)
    return ImageSet(text, None, None, names, part)


def _whole(path: str, reading: Reading, decoder: Decoder) -> ImageFolder:
    images = _read(path, reading, decoder, 0.0, 0)
    return images[0] if isinstance(images, tuple) else images


def _read(
    path: str, reading: Reading, decoder: Decoder, share: float, seed: int
) -> ImageFolder | tuple[ImageFolder, ImageFolder]:
    try:
        with warnings.catch_warnings():
            # Told by the command, in its own words.
            warnings.filterwarnings("ignore", message="from_folder: ")
            folder = from_folder(
                path,
                (decoder.height, decoder.width),
                color_mode=decoder.color_mode,
                resize=decoder.resize,
                interpolation=decoder.interpolation,
                layout="classes" if reading.layout == "classes" else "auto",
                validation_split=share or None,
                seed=seed,
                on_error=reading.on_error,
                in_memory=reading.in_memory,
                workers=reading.workers,
            )
    except ValueError as error:
        raise refused(error) from None
    whole = folder if not isinstance(folder, tuple) else folder[0]
    report = whole.report
    report.copies = copies_of(whole)
    if report.complaint and not reading.quiet:
        hint = f" `fastcnn data check {shown(path)}` names them all." if report.skipped else ""
        if report.about_layout:
            hint += " --layout classes takes that one for a class."
        messages.say(f"Note: {report.complaint}{hint}")
    return folder


def _words(text: str, layout: Layout, images: ImageSet) -> str:
    """Which parts are used for what."""
    held = images.validation
    validated = f"validates on {len(held):,} of it" if held is not None else "does not validate"
    if held is not None and "validation" in layout.parts:
        validated = f"validates on '{_name(layout, 'validation')}' ({len(held):,})"
    words = [
        f"'{printable(layout.root)}' has parts: trains on '{_name(layout, 'train')}' "
        f"({len(images.to_train):,} images), {validated}"
    ]
    if "test" in layout.parts:
        words.append(f"'{_name(layout, 'test')}' is left for `fastcnn evaluate --data {text}`")
    words += [f"'{name}' is left out, as it has no classes" for name in layout.unlabelled]
    return "; ".join(words)


def _tell(words: str, reading: Reading) -> None:
    if not reading.quiet:
        messages.say(f"Note: {words}.")


def _name(layout: Layout, kind: str) -> str:
    return printable(os.path.basename(layout.parts[kind]))
