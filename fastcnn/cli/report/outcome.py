"""What came of a training: measured, drawn and reported."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn import metrics, plots
from fastcnn.callbacks.history import History
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.report import output_page, page, sections, thumbnails
from fastcnn.cli.report.facts import Facts, OutputFacts
from fastcnn.cli.report.output_scores import OutputScores
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.cli.resolve.run_folder import RunFolder
from fastcnn.data.folder.image_folder import ImageFolder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.utils import system
from fastcnn.utils.naming import printable

LOOKED_AT = 64
"""So many pictures' headers are read for their size."""


def reported(
    model: Sequential,
    folder: RunFolder,
    images: ImageSet,
    history: History,
    settings: Settings,
    notes: Sequence[str],
    reasons: dict[str, str],
) -> dict[str, Any]:
    """Evaluate the best epoch's model on images it was not trained on, if there are any, and leave
    pictures and a report.

    Args:
        model: Of the best epoch.
        folder: Of the training.
        images: What it was trained on.
        history: Of the epochs that ran just now.
        settings: Those of the training.
        notes: What was said about the data and the training.
        reasons: Why settings were chosen, by name.

    Returns:
        The figures, by name.
    """
    kind, part = images.measured()
    values = model.evaluate(part.dataset, batch_size=128, return_dict=True)
    part = part.usable
    epochs = columns(folder.history) if folder.history.exists() else {}
    epochs.pop("epoch", None)
    if epochs:
        plots.curves(epochs, save=folder.curves)
    shared: dict[str, Any] = {
        "settings": asdict(settings),
        "measured_on": kind,
        "history": epochs,
        "best_epoch": model.epoch,
        "costs": _costs(model, history),
        "files": _files(part),
        "shape": tuple(images.shape),
        "sizes": _sizes(images),
        "notes": list(notes),
        "reasons": reasons,
    }
    draw = _of_classes if images.kind == "classes" else _of_outputs
    figures = draw(model, folder, images, part, shared)
    return {
        "epochs": len(epochs.get("loss", ())),
        "interrupted": history.interrupted,
        "best_epoch": model.epoch,
        "measured_on": kind,
        f"{kind}_loss": values["loss"],
        **{f"{kind}_{name}": figure for name, figure in figures.items()},
        f"{kind}_images": len(part),
        "images_per_second": _rate(history),
        "seconds": sum(history.seconds),
        "folder": printable(str(folder.path)),
        "files": [path.name for path in folder.files if path.exists()],
    }


def _of_classes(
    model: Sequential,
    folder: RunFolder,
    images: ImageSet,
    part: ImageSubset,
    shared: dict[str, Any],
) -> dict[str, float]:
    """Leave pictures and report of a classifier; its figures by name."""
    x, y = part.dataset, part.labels
    probabilities = class_probabilities(model, model.predict(x, batch_size=128))
    predicted = probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(y, predicted, probabilities.shape[1])
    plots.confusion_matrix(matrix, images.class_names, save=folder.confusion)
    if part.shape[-1] in (1, 3):
        plots.mistakes(x, y, probabilities, images.class_names, save=folder.mistakes)
    facts = Facts(
        names=_names(images, probabilities.shape[1]),
        counts=_counts(images, probabilities.shape[1]),
        labels=y,
        probabilities=probabilities,
        **shared,
    )
    worst = [position for position, _ in facts.mistakes()]
    facts = replace(facts, pictures=thumbnails.of(x, worst))
    page.write(folder.report, facts)
    return {"accuracy": facts.accuracy}


def _of_outputs(
    model: Sequential,
    folder: RunFolder,
    images: ImageSet,
    part: ImageSubset,
    shared: dict[str, Any],
) -> dict[str, float]:
    """Leave the report of a regression, or of labels; its figures by name."""
    outputs = model.predict(part.dataset, batch_size=128)
    scores = OutputScores.of(model, images.kind, part.labels, outputs)
    parts = {"training": images.train, "validation": images.validation, "test": images.test}
    counts = {kind: len(part) for kind, part in parts.items() if part is not None}
    pictures = thumbnails.of(part.dataset, scores.worst(output_page.WORST))
    facts = OutputFacts(counts=counts, scores=scores, pictures=pictures, **shared)
    sections.write(folder.report, output_page.page(facts))
    return scores.total()


def columns(history: Path) -> dict[str, list[float]]:
    """Return the columns of a history.csv.

    Args:
        history: The file.
    """
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _rate(history: History) -> float | None:
    rates = history.images_per_second
    return statistics.median(rates) if rates else None


def _names(images: ImageSet, classes: int) -> list[str]:
    names: Sequence[str] = images.class_names or [str(label) for label in range(classes)]
    return [printable(name) for name in names]


def _counts(images: ImageSet, classes: int) -> dict[str, list[int]]:
    parts = {"training": images.train, "validation": images.validation, "test": images.test}
    return {
        kind: np.bincount(part.labels, minlength=classes).tolist()
        for kind, part in parts.items()
        if part is not None
    }


def _sizes(images: ImageSet) -> list[tuple[int, int]]:
    """(height, width) of some of the files that are trained on."""
    folder = images.to_train.x
    if not isinstance(folder, ImageFolder):
        return []
    sizes = []
    for position in np.linspace(0, len(folder) - 1, min(len(folder), LOOKED_AT)).astype(int):
        with suppress(Unreadable):
            picture = folder.decoder.inspect(folder.path(int(position)))
            sizes.append((picture.height, picture.width))
    return sizes


def _files(part: ImageSubset) -> list[str]:
    files = part.x.files if isinstance(part.x, ImageFolder) else part.files or []
    return [printable(name) for name in files]


def _costs(model: Sequential, history: History) -> dict[str, str]:
    """Time, memory and work, in words."""
    rate, peak = _rate(history), system.peak_memory()
    work = sum(layer.multiply_adds() for layer in model.layers)
    weights = sum(parameter.size for parameter in model.parameters)
    costs = {
        "training": f"{sum(history.seconds):.1f} s",
        "images a second": f"{rate:,.0f}" if rate else "",
        "largest memory of the process": f"{peak / 2**20:,.0f} MiB" if peak else "",
        "weights": f"{weights:,}",
        "multiply-adds an image": f"{work:,}",
        "size of model.h5": f"{4 * weights / 2**20:,.1f} MiB of weights",
        "processor": f"{system.processor()}, {system.cores()} cores",
    }
    return {name: text for name, text in costs.items() if text}
