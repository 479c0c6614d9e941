"""Metrics of a pass over examples, by Keras's names; the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastcnn.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    PerLabelAccuracy,
    SubsetAccuracy,
    TopKAccuracy,
)
from fastcnn.metrics.auc import AUC
from fastcnn.metrics.base import Metric
from fastcnn.metrics.confusion import confusion_matrix, precision_recall
from fastcnn.metrics.counts import F1Score, Precision, Recall
from fastcnn.metrics.determination import R2Score
from fastcnn.metrics.differences import (
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
)
from fastcnn.metrics.function import Function, FunctionMetric
from fastcnn.metrics.tally import Tally
from fastcnn.utils import naming
from fastcnn.utils.docstrings import described_by

__all__ = [
    "AUC",
    "METRICS",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "F1Score",
    "FunctionMetric",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "PerLabelAccuracy",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SubsetAccuracy",
    "Tally",
    "TopKAccuracy",
    "confusion_matrix",
    "get",
    "precision_recall",
]

METRICS: dict[str, type[Metric]] = {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": CategoricalAccuracy,
    "per_label_accuracy": PerLabelAccuracy,
    "subset_accuracy": SubsetAccuracy,
    "top_k_categorical_accuracy": TopKAccuracy,
    "sparse_top_k_categorical_accuracy": TopKAccuracy,
    "top_k_accuracy": TopKAccuracy,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "r2_score": R2Score,
    "r2": R2Score,
    "precision": Precision,
    "recall": Recall,
    "f1_score": F1Score,
    "f1": F1Score,
    "auc": AUC,
}

MetricLike: TypeAlias = str | Metric | type[Metric] | Mapping[str, object] | Function
"""What stands for a metric: see `get`."""


@described_by(naming.resolve.__doc__)
def get(identifier: object) -> Metric:
    """Return the metric that a name such as "accuracy", a class or a configuration stands for.

    Returns:
        The metric; one made from a name carries that name in the history.
    """
    if isinstance(identifier, str) and identifier in METRICS:
        return METRICS[identifier](name=identifier)
    if callable(identifier) and not isinstance(identifier, type | Metric):
        return FunctionMetric(identifier)
    if isinstance(identifier, Mapping) and identifier.get("class_name") == "FunctionMetric":
        return FunctionMetric.from_config(dict(identifier["config"]))
    return naming.resolve("metric", identifier, Metric, METRICS)
