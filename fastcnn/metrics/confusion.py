"""How often each class was taken for each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None
) -> NDArray[np.int64]:
    """Return how often each true class was predicted as each class.

    Args:
        y_true: Labels [n], or one-hot rows [n, classes].
        y_pred: Labels [n], or probabilities [n, classes].
        classes: How many there are; None takes what the arrays show.

    Returns:
        Counts, int64 [classes, classes]: a row for each true class, a column for each predicted
        one.

    Raises:
        ValueError: The lengths differ, or an array does not hold whole-number labels from 0 to
            classes - 1.
    """
    true, predicted = _labels("y_true", y_true), _labels("y_pred", y_pred)
    if len(true) != len(predicted):
        raise ValueError(
            "confusion_matrix: y_true and y_pred must have equal lengths. "
            f"Received {len(true)} and {len(predicted)}."
        )
    if classes is None:
        widths = [np.shape(a)[1] for a in (y_true, y_pred) if np.ndim(a) == 2]
        classes = max([*widths, int(true.max(initial=-1)) + 1, int(predicted.max(initial=-1)) + 1])
    for name, labels in (("y_true", true), ("y_pred", predicted)):
        outside = labels[(labels < 0) | (labels >= classes)]
        if len(outside):
            raise ValueError(
                f"confusion_matrix: {name} must hold labels 0 to {classes - 1}. "
                f"Received the label {outside[0]}."
            )
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def _labels(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim == 2:
        array = array.argmax(axis=1)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise ValueError(
            f"confusion_matrix: {name} must hold whole-number labels of shape (n,) or rows of "
            f"shape (n, classes). Received {array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)


def precision_recall(matrix: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of each class, of a confusion matrix.

    Args:
        matrix: Counts [classes, classes], a row for each true class.

    Returns:
        (precision, recall), float64 [classes] each; 0 for a class that is never predicted, or never
        occurs.

    Raises:
        ValueError: The matrix is not square.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(
            f"precision_recall: the matrix must be square. Received shape {counts.shape}."
        )
    hits = counts.diagonal()
    predicted, occurring = counts.sum(axis=0), counts.sum(axis=1)
    return hits / np.maximum(predicted, 1.0), hits / np.maximum(occurring, 1.0)
