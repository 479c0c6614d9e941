"""How good each of a model's outputs is: numbers against numbers, or labels against labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.models.predictions import Kind
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential

Row = dict[str, Any]

HEADS = {
    "values": ("name", "mae", "rmse", "r2", "mean"),
    "labels": ("name", "images", "precision", "recall", "f1", "auc"),
}
TITLES = {"mae": "mean error", "rmse": "RMSE", "r2": "R2", "mean": "mean of the true", "auc": "AUC"}


@dataclass(frozen=True)
class OutputScores:
    """What a model made of images whose targets are known.

    Args:
        kind: "values" or "labels".
        names: Of the outputs.
        targets: float32 [n, outputs].
        outputs: float32 [n, outputs], of labels probabilities.
    """

    kind: Kind
    names: Sequence[str]
    targets: NDArray[Any]
    outputs: NDArray[Any]

    @classmethod
    def of(
        cls, model: Sequential, kind: Kind, targets: NDArray[Any], outputs: NDArray[Any]
    ) -> OutputScores:
        """Return those of a model's outputs, as `predict` returned them."""
        count = outputs.shape[1]
        names = model.class_names or [f"output {number}" for number in range(count)]
        if kind == "labels":
            # That of a single label comes behind the probability that it is not true.
            outputs = class_probabilities(model, outputs)[:, -count:]
        return cls(kind, names, targets, outputs)

    @property
    def said(self) -> NDArray[np.bool_]:
        """The labels that are taken for true."""
        return np.asarray(self.outputs > 0.5)

    def total(self) -> dict[str, float]:
        """Return the figures of all outputs together, by name."""
        if self.kind == "labels":
            right = self.said == (self.targets > 0.5)
            return {
                "binary_accuracy": float(right.mean()),
                "subset_accuracy": float(right.all(axis=1).mean()),
            }
        rows = self.rows()
        error = self.outputs - self.targets
        return {
            "mean_absolute_error": float(np.abs(error).mean()),
            "root_mean_squared_error": float(np.sqrt(np.square(error).mean())),
            "r2_score": float(np.mean([row["r2"] for row in rows])),
        }

    def rows(self) -> list[Row]:
        """Return the figures of each output, by the names of HEADS."""
        make = _of_values if self.kind == "values" else _of_label
        columns = zip(self.names, self.targets.T, self.outputs.T, strict=True)
        return [{"name": name, **make(true, output)} for name, true, output in columns]

    def table(self) -> list[list[str]]:
        """Return `rows` as texts, below the names of their columns."""
        heads = HEADS[self.kind]
        rows = [[_text(name, row[name]) for name in heads] for row in self.rows()]
        return [[TITLES.get(name, name).replace("name", "") for name in heads], *rows]

    def sentence(self) -> str:
        """Return `total` in words."""
        shown = {name: f"{100 * value:.2f} %" for name, value in self.total().items()}
        if self.kind == "labels":
            return (
                f"{shown['binary_accuracy']} of all labels right, all of an image's in "
                f"{shown['subset_accuracy']}"
            )
        total = self.total()
        return (
            f"mean error {total['mean_absolute_error']:.4g}, RMSE "
            f"{total['root_mean_squared_error']:.4g}, R2 {total['r2_score']:.3f}"
        )

    def worst(self, count: int) -> list[int]:
        """Return the positions of the images that are furthest off, the worst first; errors count
        in what their output's targets vary by."""
        spread = self.targets.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0) if self.kind == "values" else 1.0
        error = (np.abs(self.outputs - self.targets) / scale).max(axis=1)
        limit = 0.5 if self.kind == "labels" else 0.0
        order = np.argsort(-error, kind="stable")[:count]
        return [int(position) for position in order if error[position] > limit]


def _of_values(true: NDArray[Any], output: NDArray[Any]) -> Row:
    true, error = true.astype(np.float64), (output - true).astype(np.float64)
    variation = float(np.square(true - true.mean()).sum())
    residual = float(np.square(error).sum())
    exact = 1.0 if residual == 0 else 0.0
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": 1 - residual / variation if variation else exact,
        "mean": float(true.mean()),
    }


def _of_label(true: NDArray[Any], output: NDArray[Any]) -> Row:
    is_true, said = true > 0.5, output > 0.5
    hits = float((is_true & said).sum())
    precision = hits / max(float(said.sum()), 1.0)
    recall = hits / max(float(is_true.sum()), 1.0)
    return {
        "images": int(is_true.sum()),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-12),
        "auc": _area(output[is_true], output[~is_true]),
    }


def _area(scores: NDArray[Any], others: NDArray[Any]) -> float | None:
    """The share of pairs in which the true one scores higher, a tie being half; None without
    pairs."""
    if not len(scores) or not len(others):
        return None
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return float(below.mean() / (2 * len(others)))


def _text(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in ("precision", "recall", "f1"):
        return f"{100 * value:.1f} %"
    if isinstance(value, float):
        return f"{value:.3f}" if name in ("r2", "auc") else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
