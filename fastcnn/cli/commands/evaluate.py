"""`fastcnn evaluate`: measure a model on images whose classes are known."""

from __future__ import annotations

import argparse
import functools
import json
import time
from typing import Any

from fastcnn import metrics
from fastcnn.cli.options import augment, device
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.report.output_scores import OutputScores
from fastcnn.cli.resolve import dataset, rank_command
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.folder_set import MEASURE
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.distributed import launch
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.training import picture_input
from fastcnn.utils import columns
from fastcnn.utils.naming import printable, shown


def run(args: argparse.Namespace) -> int:
    """Print loss, accuracy, and precision and recall of each class."""
    ranks = launch.joined("auto", "fastcnn evaluate")
    if ranks is None:
        _print(args, _reported(args))
        return 0
    with rank_command.shared(ranks):
        report = _reported(args)
        if not ranks.rank:
            _print(args, report)
    return 0


def _print(args: argparse.Namespace, report: dict[str, Any]) -> None:
    scores = report.pop("scores", None)
    print(json.dumps(report) if args.json else _text(report, scores))


def _reported(args: argparse.Namespace) -> dict[str, Any]:
    model = device.moved(models.with_weights(args.model, args.weights), args)
    base = functools.partial(picture_input.decoder, model)
    reading = Reading.of(args, args.threads)
    image_set = dataset.opened(args.data, reading, base, args.validation, args.seed, MEASURE)
    models.check_shape(model, image_set)
    images = image_set.by_names(model.class_names)
    models.check_classes(model, images)
    options = {"batch_size": args.batch_size, **augment.views(args, images.shape)}
    return _measured(model, images, options | {"distributed": "auto"})


def _measured(model: Sequential, images: ImageSet, options: dict[str, Any]) -> dict[str, Any]:
    """The report; `options` are those of `evaluate` and `predict`."""
    if model.loss is None:
        loss = models.fitting_loss(model, kind=images.kind)
        model.compile("sgd", loss, models.METRICS[images.kind])
    kind, part = ("validation", images.validation) if images.validation else images.measured()
    values = model.evaluate(part.dataset, return_dict=True, **options)
    part = part.usable
    x, y = part.dataset, part.labels
    start = time.perf_counter()
    predicted = model.predict(x, **options)
    seconds = time.perf_counter() - start
    shared = {
        "data": printable(images.name),
        "measured_on": "all" if kind == "training" else kind,
        "images": len(y),
        "loss": values["loss"],
        "images_per_second": len(y) / max(seconds, 1e-9),
    }
    if images.kind != "classes":
        scores = OutputScores.of(model, images.kind, y, predicted)
        return {**shared, **scores.total(), "outputs": scores.rows(), "scores": scores}
    outputs = class_probabilities(model, predicted)
    classes = outputs.shape[1]
    matrix = metrics.confusion_matrix(y, outputs, classes)
    precision, recall = metrics.precision_recall(matrix)
    names = images.class_names or [str(label) for label in range(classes)]
    return {
        **shared,
        "accuracy": float((outputs.argmax(axis=1) == y).mean()),
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


def _text(report: dict[str, Any], scores: OutputScores | None) -> str:
    words = {"test": "test images", "validation": "held-out images", "all": "images"}
    place = (
        f"loss {report['loss']:.4f} on {report['images']:,} {words[report['measured_on']]} of "
        f"{shown(report['data'])} ({report['images_per_second']:,.0f} images/s)."
    )
    if scores is not None:
        sentence = scores.sentence()
        table = columns.table(scores.table())
        return "\n".join([f"{sentence[0].upper()}{sentence[1:]}, {place}", "", *table])
    rows = [["class", "precision", "recall", "images"]]
    for entry in report["classes"]:
        shares = (f"{100 * entry[kind]:.2f} %" for kind in ("precision", "recall"))
        rows.append([entry["name"], *shares, f"{entry['images']:,}"])
    lines = [
        f"Accuracy {100 * report['accuracy']:.2f} %, {place}",
        "",
        *columns.table(rows),
    ]
    return "\n".join(lines)
