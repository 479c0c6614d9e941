"""Which images are held out for validation, decided here alone.

Of whatever has names or classes, for folders, packed files, `fit` and the command line, a share of
each class, by the images' names and a seed; of `fit`'s arrays the last ones, as Keras does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.folder.file_list import text
from fastcnn.data.folder.scan_report import Report

Positions = npt.NDArray[np.int64]


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
    report = getattr(source, "report", None)
    if isinstance(report, Report):
        return _split_again(names, source.labels, source.class_names, report, share, seed)
    return split(names, labels, share, seed)


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
    names: Sequence[str], labels: npt.NDArray[Any], share: object, seed: int
) -> tuple[Positions, Positions]:
    """Return positions for training and for validation, both ascending.

    Of each class with n files, round(share * n) are held out, those whose names have the lowest
    keyed hashes: whatever the order in which a system lists files, wherever the folder lies, and
    whether or not other files are damaged.

    Args:
        names: Of the images' files, as `file_list.text` returns them.
        labels: The class of each, whole numbers [n].
        share: How much of each class is held out, between 0 and 1.
        seed: Other images are held out for another one.

    Raises:
        ValueError: Either side would be empty.
    """
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 < float(share) < 1:
        raise ValueError(
            f"validation_split must be a number between 0 and 1, or None. Received {share!r}."
        )
    ranks = _ranks(names, seed)
    held = np.zeros(len(names), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = np.argsort(ranks[members], kind="stable")
        held[members[order[: round(float(share) * len(members))]]] = True
    if not held.any() or held.all():
        raise ValueError(
            f"validation_split must leave images on both sides. Received {share} for {len(names)} "
            f"images in {len(np.unique(labels))} classes."
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


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
                notes.append(
                    f"No image of '{name}' to {purpose}: of its {sum(left)}, the share to hold out "
                    "rounds to none or to all."
                )
    return notes


def _split_again(
    names: Sequence[str],
    labels: npt.NDArray[np.int32],
    class_names: Sequence[str],
    report: Report,
    share: float,
    seed: int,
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
    train, held = split(all_names, all_labels, share, seed)
    return train[train < len(names)], held[held < len(names)]


def _ranks(names: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    if seed.bit_length() > 127:
        raise ValueError(f"seed must be a whole number below 2^127. Received {seed}.")
    key = seed.to_bytes(16, "little", signed=True)
    digests = b"".join(
        hashlib.blake2b(name.encode("utf-8"), digest_size=8, key=key).digest() for name in names
    )
    return np.frombuffer(digests, "<u8")
