"""Which images are held out for validation, decided here alone.

Of whatever has names or classes, for folders, packed files, `fit` and the command line, a share of
each class, by the images' names and a seed, files with the same bytes together; of `fit`'s arrays
the last ones, as Keras does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.folder.duplicates import copies_of
from fastcnn.data.folder.file_list import text
from fastcnn.data.folder.scan_report import Report

Positions = npt.NDArray[np.int64]


class NothingToHoldOut(ValueError):
    """No class has two images of which one could be held out."""


def split_source(
    source: Any, labels: npt.NDArray[Any], share: float, seed: int
) -> tuple[Positions, Positions]:
    """Return positions of a Dataset for training and for validation, as `split` does.

    The images' names are the source's `files`, where it has such, and else their positions.

    Args:
        source: The Dataset.
        labels: The classes of its images, whole numbers [n].
        share: How much of each class is held out, between 0 and 1.
        seed: Other images are held out for another one.

    Raises:
        ValueError: Either side would be empty.
    """
    files: object = getattr(source, "files", None)
    if isinstance(files, list) and len(files) == len(labels):
        names = [text(str(path)) for path in files]
    else:
        names = [str(position) for position in range(len(labels))]
    copies = copies_of(source)
    report = getattr(source, "report", None)
    if isinstance(report, Report):
        return _split_again(names, source.labels, source.class_names, report, share, seed, copies)
    return split(names, labels, share, seed, copies)


def split_array(count: int, share: float) -> tuple[Positions, Positions]:
    """Return positions of an array for training and, the last ones, for validation.

    Args:
        count: How many images there are.
        share: How much of them is held out, between 0 and 1.

    Raises:
        ValueError: Either side would be empty.
    """
    every = np.arange(count, dtype=np.int64)
    cut = math.floor(count * (1.0 - share))
    if cut in (0, count):
        raise ValueError(
            "fit: validation_split must leave images on both sides. "
            f"Received {share} for {count} images."
        )
    return every[:cut], every[cut:]


def split(
    names: Sequence[str],
    labels: npt.NDArray[Any],
    share: object,
    seed: int,
    copies: Sequence[Sequence[str]] = (),
) -> tuple[Positions, Positions]:
    """Return positions for training and for validation, both ascending.

    Of each class as many files are held out as `held_count` says, those whose names have the lowest
    keyed hashes: whatever the order in which a system lists files, wherever the folder lies, and
    whether or not other files are damaged. Copies of a picture stay together, so that there may be
    some fewer; those in several classes, of whose labels one at least is wrong, are trained on.

    Args:
        names: Of the images' files, as `file_list.text` returns them.
        labels: The class of each, whole numbers [n].
        share: How much of each class is held out, between 0 and 1.
        seed: Other images are held out for another one.
        copies: The names of files with the same bytes, a list for each picture.

    Raises:
        NothingToHoldOut: No class has two images that differ (a ValueError).
        ValueError: The share or the seed is out of its range.
    """
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 < float(share) < 1:
        raise ValueError(
            f"validation_split must be a number between 0 and 1, or None. Received {share!r}."
        )
    ranks = _ranks(names, seed)
    picture = _pictures(names, labels, copies)
    held = np.zeros(len(names), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ordered = members[np.argsort(ranks[members], kind="stable")]
        held[_drawn(ordered, picture, held_count(float(share), len(members)))] = True
    if not held.any():
        raise NothingToHoldOut(
            f"validation_split must leave images on both sides. Received {share} for {len(names)} "
            f"images in {len(np.unique(labels))} classes, none of which has two that differ."
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def held_count(share: float, count: int) -> int:
    """Return how many images of a class are held out: one at least of two or more, and never all.

    Args:
        share: How much of it, between 0 and 1.
        count: How many images it has.
    """
    return min(max(round(share * count), 1), count - 1) if count > 1 else 0


def notes(
    labels: npt.NDArray[Any], class_names: Sequence[str], train: Positions, held: Positions
) -> list[str]:
    """Return sentences on the classes that a split left without an image on one of its sides.

    Args:
        labels: The class of each image, whole numbers [n].
        class_names: By label.
        train: Positions of the images for training.
        held: Positions of those held out.
    """
    notes = []
    for label, name in enumerate(class_names):
        left = [int((labels[side] == label).sum()) for side in (train, held)]
        for purpose, count in zip(("train on", "validate on"), left, strict=True):
            if not count and any(left):
                reason = (
                    "it has one alone"
                    if sum(left) == 1
                    else f"its {sum(left)} are copies, or the others cannot be used"
                )
                notes.append(f"No image of '{name}' to {purpose}: {reason}.")
    return notes


def _split_again(
    names: Sequence[str],
    labels: npt.NDArray[np.int32],
    class_names: Sequence[str],
    report: Report,
    share: float,
    seed: int,
    copies: Sequence[Sequence[str]],
) -> tuple[Positions, Positions]:
    """As split() decided before the files that the report lists as skipped were left out."""
    by_name = {name: label for label, name in enumerate(class_names)}
    # What turned out to be damaged in a batch is among the files still.
    there = set(names)
    skipped = [
        (left.path, by_name[left.path.split("/")[0]])
        for left in report.skipped
        if left.path.split("/")[0] in by_name
        and not left.path.endswith("/")
        and left.path not in there
    ]
    all_names = [*names, *(path for path, _ in skipped)]
    all_labels = np.append(labels, np.array([label for _, label in skipped], np.int32))
    train, held = split(all_names, all_labels, share, seed, copies)
    return train[train < len(names)], held[held < len(names)]


def _pictures(
    names: Sequence[str], labels: npt.NDArray[Any], copies: Sequence[Sequence[str]]
) -> Positions:
    """A number for each image, int64 [n], the same for copies of a picture; -1 of those that are in
    several classes.
    """
    picture = np.arange(len(names), dtype=np.int64)
    if not copies:
        return picture
    place = {name: position for position, name in enumerate(names)}
    for group in copies:
        same = [place[name] for name in group if name in place]
        if len(same) > 1:
            picture[same] = same[0] if len(np.unique(labels[same])) == 1 else -1
    return picture


def _drawn(ordered: Positions, picture: Positions, count: int) -> list[int]:
    """The positions of images to hold out of a class: the first pictures with all their copies, as
    many as fit into `count`, or else the one with the fewest.
    """
    together: dict[int, list[int]] = {}
    for position in ordered.tolist():
        together.setdefault(int(picture[position]), []).append(position)
    together.pop(-1, None)
    drawn: list[int] = []
    for images in together.values():
        if len(drawn) + len(images) <= count:
            drawn += images
    if drawn or not together:
        return drawn
    fewest = min(together.values(), key=len)
    return fewest if len(fewest) < len(ordered) else []


def _ranks(names: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    if seed.bit_length() > 127:
        raise ValueError(f"seed must be a whole number below 2^127. Received {seed}.")
    key = seed.to_bytes(16, "little", signed=True)
    digests = b"".join(
        hashlib.blake2b(name.encode("utf-8"), digest_size=8, key=key).digest() for name in names
    )
    return np.frombuffer(digests, "<u8")
