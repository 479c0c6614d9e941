"""`fastcnn evaluate`: measure a model on the test images of a data set."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from fastcnn import metrics
from fastcnn.cli import datasets, models
from fastcnn.cli.datasets import ImageSet
from fastcnn.model import Sequential


def run(given: argparse.Namespace) -> int:
    """Prints loss, accuracy, and precision and recall of each class."""
    images = datasets.named(given.data)
    model = models.with_weights(given.model, given.weights)
    models.check_fit(model, images)
    report = _measured(model, images, given.batch_size)
    print(json.dumps(report) if given.json else _text(report))
    return 0


def _measured(model: Sequential, images: ImageSet, batch_size: int) -> dict[str, Any]:
    if model.loss is None:
        model.compile("sgd", models.fitting_loss(model), ["accuracy"])
    x, y = images.test
    values = model.evaluate(x, y, batch_size=batch_size, return_dict=True)
    start = time.perf_counter()
    outputs = models.probabilities(model, model.predict(x, batch_size=batch_size))
    seconds = time.perf_counter() - start
    classes = outputs.shape[1]
    matrix = metrics.confusion_matrix(y, outputs, classes)
    precision, recall = metrics.precision_recall(matrix)
    names = images.class_names or [str(label) for label in range(classes)]
    return {
        "data": images.name,
        "images": len(y),
        "loss": values["loss"],
        "accuracy": float((outputs.argmax(axis=1) == y).mean()),
        "images_per_second": len(y) / max(seconds, 1e-9),
        "classes": [
            {
                "name": name,
                "images": int(count),
                "precision": float(precise),
                "recall": float(recalled),
            }
            for name, count, precise, recalled in zip(
                names, matrix.sum(axis=1), precision, recall, strict=True
            )
        ],
        "confusion_matrix": matrix.tolist(),
    }


def _text(report: dict[str, Any]) -> str:
    width = max(len("class"), *(len(one["name"]) for one in report["classes"]))
    lines = [
        f"Accuracy {100 * report['accuracy']:.2f} %, loss {report['loss']:.4f} on "
        f"{report['images']:,} test images of {report['data']} "
        f"({report['images_per_second']:,.0f} images/s).",
        "",
        f"{'class':<{width}}  precision   recall   images",
    ]
    for one in report["classes"]:
        lines.append(
            f"{one['name']:<{width}}  {100 * one['precision']:7.2f} %  "
            f"{100 * one['recall']:5.2f} %  {one['images']:7,}"
        )
    return "\n".join(lines)
