"""Labels by the names of their classes: two sets may count the same classes differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 10
"""Names that a message lists."""


def counted(
    labels: object, names: Sequence[str], reference: Sequence[str], owner: str, hint: str = ""
) -> NDArray[Any]:
    """Return the labels of a set as they are where classes have other numbers.

    Args:
        labels: Whole numbers, [n] or [n, 1], or rows of one number a class, [n, len(names)].
        names: What the set calls its classes, by label.
        reference: What they are called where labels are counted, by label.
        owner: Whose labels they are, for errors.
        hint: What to do about a name that is not there, for the error.

    Returns:
        Labels of the same form; rows become [n, len(reference)].

    Raises:
        ValueError: `reference` has not a name, or a label has none.
    """
    classes = np.asarray(labels)
    names, reference = list(names), list(reference)
    if names == reference:
        return classes
    unknown = [name for name in names if name not in reference]
    if unknown:
        raise ValueError(
            f"{owner}: classes that the model does not know: {_listed(unknown)}. It knows "
            f"{_listed(reference)}.{hint}"
        )
    table = np.array([reference.index(name) for name in names], np.int32)
    if classes.ndim == 2 and classes.shape[1] == len(names) > 1:
        rows = np.zeros((len(classes), len(reference)), classes.dtype)
        rows[:, table] = classes
        return rows
    if not _labels_below(classes, len(names)):
        raise ValueError(
            f"{owner} must have whole-number labels from 0 to {len(names) - 1}, one for each of "
            f"its class_names, since the model counts its classes otherwise. Received "
            f"{classes.dtype} of shape {classes.shape}."
        )
    # Not of the labels' own type: that of few classes may be too small for many.
    return table[classes.astype(np.int64)].astype(
        np.float32 if classes.dtype.kind == "f" else np.int32
    )


def _labels_below(classes: NDArray[Any], count: int) -> bool:
    """Whether these are labels, whole numbers of whatever type from 0 to below count."""
    if classes.shape[1:] not in ((), (1,)) or not classes.ndim or classes.dtype.kind not in "biuf":
        return False
    return bool(((classes >= 0) & (classes < count) & (classes == np.trunc(classes))).all())


def _listed(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
