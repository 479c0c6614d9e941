"""`fastcnn train`: train a network and leave weights, history and pictures in a folder."""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastcnn
from fastcnn import callbacks, metrics, plots
from fastcnn.cli import datasets, models, settings
from fastcnn.cli.datasets import ImageSet
from fastcnn.cli.errors import UsageError
from fastcnn.cli.settings import Settings
from fastcnn.history import History
from fastcnn.model import Sequential


class Folder:
    """The files that a training leaves."""

    def __init__(self, path: str):
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.best = self.path / "model.h5"
        self.last = self.path / "last.h5"
        self.history = self.path / "history.csv"
        self.curves = self.path / "curves.png"
        self.confusion = self.path / "confusion.png"
        self.mistakes = self.path / "mistakes.png"


def run(given: argparse.Namespace) -> int:
    """Trains, evaluates the best epoch on the test images, and reports."""
    folder = Folder(given.out)
    asked = settings.given_settings(given)
    wanted = settings.resumed(folder.settings, asked) if given.resume else Settings(**asked)
    images = datasets.named(wanted.data)
    if given.resume:
        model = _continued(folder, given.epochs)
    else:
        model = _fresh(wanted, images, given.device, asked)
        folder.path.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        settings.write(wanted, folder.settings)
    _announce(model, wanted, images)
    history = _fit(model, wanted, images, folder, given.epochs)
    report = _result(folder, images, history)
    print(json.dumps(report) if given.json else _text(report, folder))
    return 0


def _continued(folder: Folder, epochs: int) -> Sequential:
    if not folder.last.exists():
        raise UsageError(f"--resume: '{folder.path}' holds no finished epoch.")
    model = fastcnn.load(folder.last)
    if model.epoch >= epochs:
        raise UsageError(
            f"--resume: the training in '{folder.path}' has {model.epoch} epochs; "
            f"give more than that with --epochs. Received {epochs}."
        )
    return model


def _fresh(
    wanted: Settings, images: ImageSet, device: str | None, asked: dict[str, Any]
) -> Sequential:
    if models.is_network(wanted.model):
        model = models.named(
            wanted.model,
            input_shape=images.shape,
            classes=images.classes,
            rescale=images.raw,
            seed=wanted.seed,
            device=device or "auto",
        )
    else:
        model = models.named(wanted.model)
    if images.raw and not models.begins_with_scaling(model):
        print(
            f"Note: the images of '{images.name}' are pixel values from 0 to 255, and the model "
            "does not begin with Rescaling(1 / 255).",
            file=sys.stderr,
        )
    model.class_names = images.class_names
    chosen = {"optimizer", "lr", "momentum", "weight_decay"} & set(asked)
    if model.optimizer is None or model.loss is None or chosen:
        loss = model.loss or models.fitting_loss(model)
        model.compile(settings.make_optimizer(wanted), loss, ["accuracy"])
    return model


def _clear(folder: Folder) -> None:
    """Removes an earlier training's results: none of them may pass for this one's."""
    for path in vars(folder).values():
        if path != folder.path:
            path.unlink(missing_ok=True)


def _announce(model: Sequential, wanted: Settings, images: ImageSet) -> None:
    weights = sum(parameter.size for parameter in model.parameters if parameter.trainable)
    count = len(images.train[1]) if images.train else 0
    print(
        f"Training {wanted.model} ({weights:,} weights) on {wanted.data} "
        f"({count:,} images), {wanted.optimizer}, batch {wanted.batch_size}.",
        file=sys.stderr,
    )


def _fit(
    model: Sequential, wanted: Settings, images: ImageSet, folder: Folder, epochs: int
) -> History:
    (x, y), validation = images.held_out(wanted.validation, wanted.seed)
    watched = "val_accuracy" if any(m.name == "accuracy" for m in model.metrics) else "val_loss"
    best = callbacks.ModelCheckpoint(
        folder.best,
        monitor=watched,
        save_best_only=validation is not None,
        initial_value_threshold=_best_so_far(folder.history, watched),
    )
    kept = [
        best,
        callbacks.ModelCheckpoint(folder.last),
        callbacks.CSVLogger(folder.history, append=True),
    ]
    history = model.fit(
        x,
        y,
        batch_size=wanted.batch_size,
        epochs=epochs,
        initial_epoch=model.epoch,
        validation_data=validation,
        callbacks=kept,
    )
    if not folder.best.exists():
        model.save(folder.best)
    return history


def _best_so_far(history: Path, watched: str) -> float | None:
    """The best value of an earlier part of the training."""
    if not history.exists():
        return None
    choose: Callable[..., float] = min if watched.endswith("loss") else max
    values = _read(history).get(watched, [])
    return choose((value for value in values if not math.isnan(value)), default=None)


def _read(history: Path) -> dict[str, list[float]]:
    """The columns of a history.csv."""
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _result(folder: Folder, images: ImageSet, history: History) -> dict[str, Any]:
    """Evaluates the best epoch's model on the test images, draws the pictures."""
    model = fastcnn.load(folder.best)
    x, y = images.test
    values = model.evaluate(x, y, batch_size=128, return_dict=True)
    probabilities = model.predict(x, batch_size=128)
    predicted = probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(y, predicted, images.classes)
    columns = _read(folder.history) if folder.history.exists() else {}
    columns.pop("epoch", None)
    if columns:
        plots.curves(columns, save=folder.curves)
    plots.confusion_matrix(matrix, images.class_names, save=folder.confusion)
    if x.shape[-1] in (1, 3):
        plots.mistakes(x, y, probabilities, images.class_names, save=folder.mistakes)
    return {
        "epochs": len(columns.get("loss", ())),
        "interrupted": history.interrupted,
        "best_epoch": model.epoch,
        "test_loss": values["loss"],
        "test_accuracy": float((predicted == y).mean()),
        "test_images": len(y),
        "images_per_second": _rate(history),
        "seconds": sum(history.seconds),
        "folder": str(folder.path),
        "files": sorted(path.name for path in folder.path.iterdir() if path.is_file()),
    }


def _rate(history: History) -> float | None:
    rates = history.images_per_second
    return statistics.median(rates) if rates else None


def _text(report: dict[str, Any], folder: Folder) -> str:
    rate = report["images_per_second"]
    speed = f"{rate:,.0f} images/s in training, " if rate else ""
    stopped = ", interrupted" if report["interrupted"] else ""
    return (
        f"Test accuracy {100 * report['test_accuracy']:.2f} % on {report['test_images']:,} images "
        f"(loss {report['test_loss']:.4f}), from epoch {report['best_epoch']} of "
        f"{report['epochs']}{stopped}.\n"
        f"{speed}{report['seconds']:.1f} s.\n"
        f"{folder.path}: {', '.join(report['files'])}"
    )
