"""What a report tells of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import metrics
from fastcnn.cli.report.output_scores import OutputScores

BINS = 10
WORST = 24
"""So many mistakes are shown."""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What all trainings have in common.

    Args:
        settings: The options that decided it, by name.
        measured_on: What kind of images it was measured on.
        files: The paths of these images; empty where they are not of files.
        shape: (height, width, channels) of the images as they were learnt from.
        sizes: (height, width) of pictures in their files, of some of them.
        notes: What was said about the data and the training.
        reasons: Why settings were chosen, by name.
        pictures: PNG files of the images with the worst mistakes, in their order; empty where
            images are none that can be shown.
        history: The values of each epoch, by name.
        best_epoch: Counted from 1.
        costs: What it took, in words, by name.
    """

    settings: dict[str, Any]
    measured_on: str
    history: dict[str, list[float]]
    best_epoch: int
    costs: dict[str, str]
    files: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    sizes: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Facts(TrainingFacts):
    """A finished training that tells classes apart.

    Args:
        names: The classes, by label.
        counts: Images by the part that they are in ("training", ...), for each class.
        labels: Of the images that were measured, int [n].
        probabilities: float32 [n, classes].
    """

    names: list[str]
    counts: dict[str, list[int]]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def accuracy(self) -> float:
        """The share of images whose likeliest class is right."""
        return float((self.predicted == self.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts [classes, classes], a row for each true class."""
        return metrics.confusion_matrix(self.labels, self.predicted, len(self.names))

    def of_classes(self) -> list[tuple[str, int, float, float, float]]:
        """Return name, images, precision, recall and F1 of each class."""
        matrix = self.confusion
        precision, recall = metrics.precision_recall(matrix)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        images = matrix.sum(axis=1)
        rows = zip(self.names, images, precision, recall, f1, strict=True)
        return [(name, int(n), float(p), float(r), float(f)) for name, n, p, r, f in rows]

    def mistakes(self) -> list[tuple[int, float]]:
        """Return positions of the wrong answers, the surest first, and how sure they were."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        sure = self.probabilities.max(axis=1)[wrong]
        order = np.argsort(-sure, kind="stable")[:WORST]
        return [(int(wrong[i]), float(sure[i])) for i in order]

    def calibration(self) -> list[tuple[float, float, int]]:
        """Return mean probability, share that is right and images, of answers alike in probability.

        References:
            Guo et al., 2017: On calibration of modern neural networks.
        """
        sure = self.probabilities.max(axis=1)
        right = self.predicted == self.labels
        bins = np.minimum((sure * BINS).astype(int), BINS - 1)
        return [
            (float(sure[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum()))
            for b in np.unique(bins)
        ]

    def calibration_error(self) -> float:
        """Return the mean distance of probability and share that is right (ECE)."""
        rows = self.calibration()
        return sum(abs(sure - right) * n for sure, right, n in rows) / max(len(self.labels), 1)


@dataclass(frozen=True, kw_only=True)
class OutputFacts(TrainingFacts):
    """A finished training of a regression, or of labels.

    Args:
        counts: Images by the part that they are in ("training", ...).
        scores: Of the images that were measured.
    """

    counts: dict[str, int]
    scores: OutputScores
