"""`fastcnn train`: train a network and leave weights, history and pictures in a folder."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import fastcnn
from fastcnn import callbacks
from fastcnn.callbacks.history import History
from fastcnn.cli.commands import find_lr
from fastcnn.cli.options import config, device, train_settings
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train import distributed
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.output import INTERRUPTED
from fastcnn.cli.report import outcome
from fastcnn.cli.resolve import (
    experiment_logs,
    kept_settings,
    preset,
    rank_command,
    run_folder,
    shared_images,
    training,
)
from fastcnn.cli.resolve.checkpoints import LastEpoch, Recall
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.run_folder import RunFolder
from fastcnn.data.folder.image_folder import ImageFolder
from fastcnn.distributed import launch
from fastcnn.models.sequential import Sequential
from fastcnn.utils import messages
from fastcnn.utils.naming import shown

FIGURES = {
    "mean_absolute_error": "mean error",
    "root_mean_squared_error": "RMSE",
    "r2_score": "R2",
    "binary_accuracy": "share of labels that are right",
    "subset_accuracy": "of images with all labels right",
}
"""Of trainings without classes, in words."""
PLATEAU = 3
"""Epochs without a lower validation loss after which --schedule plateau takes a smaller rate."""


def run(args: argparse.Namespace) -> int:
    """Train, evaluate the best epoch on the test images, and report."""
    config.merge(args)
    if args.find_lr is not None:
        return find_lr.run(args)
    ranks = launch.joined(distributed(args), "fastcnn train")
    if ranks is None:
        return _led(args)
    with rank_command.shared(ranks):
        return _followed(args) if ranks.rank else _led(args)


def _followed(args: argparse.Namespace) -> int:
    """Train as one of several processes, of which the first writes and tells."""
    asked = train_settings.given_settings(args)
    with tempfile.TemporaryDirectory() as empty:
        folder = RunFolder(Path(args.out if args.resume else empty))
        if args.resume:
            wanted, _ = kept_settings.resumed(folder.settings, asked)
        else:
            asked, _ = preset.completed(asked, args.preset)
            wanted = Settings(**asked)
        _, _, history = _fitted(args, wanted, asked, folder)
    return INTERRUPTED if history.interrupted else 0


def _led(args: argparse.Namespace) -> int:
    if args.resume:
        if args.overwrite:
            raise UsageError("--overwrite: --resume continues the earlier training; leave one out.")
        return _report(args, _resumed(args))
    folder = run_folder.claimed(args.out, args.overwrite)
    try:
        asked, reasons = preset.completed(train_settings.given_settings(args), args.preset)
        wanted = Settings(**asked)
        train_settings.make_optimizer(wanted)
        folder.keep(wanted, reasons)
        report = _trained(args, wanted, asked, folder, reasons)
    except BaseException:
        folder.give_up()
        raise
    earlier = RunFolder(Path(args.out).resolve())
    if args.overwrite and folder.path != earlier.path:
        if report["interrupted"]:
            messages.say(f"Note: '{args.out}' stays as it was.")
        else:
            folder.take_the_place_of(earlier)
            report["folder"] = args.out
    return _report(args, report)


def _resumed(args: argparse.Namespace) -> dict[str, Any]:
    folder = RunFolder(Path(args.out))
    asked = train_settings.given_settings(args)
    wanted, reasons = kept_settings.resumed(folder.settings, asked)
    folder.check_writable()
    return _trained(args, wanted, asked, folder, reasons)


def _trained(
    args: argparse.Namespace,
    wanted: Settings,
    asked: dict[str, object],
    folder: RunFolder,
    reasons: dict[str, str],
) -> dict[str, Any]:
    """Train and measure; what came of it, with what was said meanwhile."""
    with messages.notes_kept() as notes:
        model, images, history = _fitted(args, wanted, asked, folder)
        best = _best(args, model, folder)
        result = outcome.reported(best, folder, images, history, wanted, notes, reasons)
    # To be taken away: what only a training that goes on needs is in last.h5.
    best.save(folder.best, include_optimizer=False)
    return result


def _fitted(
    args: argparse.Namespace, wanted: Settings, asked: dict[str, object], folder: RunFolder
) -> tuple[Sequential, ImageSet, History]:
    """Train; the model, what it learnt from, and how."""
    loggers = experiment_logs.loggers(args.log, folder)
    source = _continued(folder, wanted.epochs) if args.resume else training.of_file(wanted)
    model, images, options = training.prepared(args, wanted, asked, source)
    _announce(model, wanted, images)
    _tell_of_shared(images)
    train, held = images.to_train, images.validation
    history = model.fit(
        train.x,
        train.y,
        epochs=wanted.epochs,
        initial_epoch=model.epoch,
        steps_per_epoch=wanted.steps_per_epoch,
        validation_freq=wanted.validation_freq,
        validation_data=None if held is None else held.dataset,
        callbacks=[*_callbacks(wanted, held is not None, folder, args.resume), *loggers],
        distributed=distributed(args),
        **options,
    )
    return model, images, history


def _best(args: argparse.Namespace, model: Sequential, folder: RunFolder) -> Sequential:
    """The model of the best epoch."""
    if not folder.best.exists():
        model.save(folder.best)
    best = device.moved(fastcnn.load(folder.best), args)
    if best.loss is None:  # --resume, and no epoch was better than those before
        best.compile("sgd", model.loss, model.metrics)
    return best


def _report(args: argparse.Namespace, report: dict[str, object]) -> int:
    print(json.dumps(report) if args.json else messages.wrapped(_text(report), sys.stdout))
    return INTERRUPTED if report["interrupted"] else 0


def _continued(folder: RunFolder, epochs: int) -> Sequential:
    if not folder.last.exists():
        raise UsageError(f"--resume: '{folder.path}' holds no finished epoch.")
    model = fastcnn.load(folder.last)
    if model.epoch >= epochs:
        raise UsageError(
            f"--resume: the training in '{folder.path}' has {model.epoch} epochs; "
            f"give more than that with --epochs. Received {epochs}."
        )
    return model


def _announce(model: Sequential, wanted: Settings, images: ImageSet) -> None:
    weights = sum(parameter.size for parameter in model.parameters if parameter.trainable)
    rate = model.optimizer.learning_rate
    speed = f" at {rate:g}" if isinstance(rate, float) else ""
    messages.say(
        f"Training {wanted.model} ({weights:,} weights) on {len(images.to_train):,} images of "
        f"{wanted.data}: {model.optimizer.name}{speed}, batches of {wanted.batch_size}."
    )


def _tell_of_shared(images: ImageSet) -> None:
    """Say which files are both trained and validated on."""
    train, held = images.to_train.x, images.validation and images.validation.x
    if not isinstance(train, ImageFolder) or not isinstance(held, ImageFolder):
        return
    told = shared_images.sentence(train, held, "images to validate on are trained on")
    if told is not None:
        messages.say(f"Note: {told}")


def _callbacks(
    wanted: Settings, validates: bool, folder: RunFolder, resume: bool
) -> list[callbacks.Callback]:
    """What keeps the training's files, and ends it; the best epoch is that of the lowest validation
    loss."""
    if not validates and (wanted.patience or wanted.schedule == "plateau"):
        option = "--patience" if wanted.patience else "--schedule plateau"
        raise UsageError(f"{option} needs images to validate on: see --validation-split.")
    best = callbacks.ModelCheckpoint(
        folder.best,
        save_best_only=validates,
        initial_value_threshold=_best_so_far(folder.history) if resume else None,
    )
    counting: list[callbacks.Callback] = []
    if wanted.schedule == "plateau":
        counting.append(callbacks.ReduceLROnPlateau(factor=1 / 3, patience=PLATEAU, verbose=1))
    if wanted.patience:
        counting.append(callbacks.EarlyStopping(patience=wanted.patience, verbose=1))
    recall = [Recall(folder.history, counting, wanted.validation_freq)] if resume else []
    log = callbacks.CSVLogger(folder.history, append=resume)
    return [best, *counting, *recall, LastEpoch(folder.last), log]


def _best_so_far(history: Path) -> float | None:
    """The lowest validation loss of the training's earlier part."""
    if not history.exists():
        return None
    values = outcome.columns(history).get("val_loss", [])
    return min((value for value in values if not math.isnan(value)), default=None)


def _for_keras(folder: str) -> str:
    """Return the command that makes a file for Keras, which opens model.h5 under no such name."""
    model = shlex.quote(f"{folder}/model.h5")
    return (
        f"For Keras: fastcnn export --model {model} --out model.keras for keras.models.load_model, "
        "or --out model.weights.h5 for load_weights."
    )


def _figures(report: dict[str, Any], kind: str) -> str:
    """How good the model is, in words."""
    if f"{kind}_accuracy" in report:
        return f"accuracy {100 * report[f'{kind}_accuracy']:.2f} %"
    names = [name for name in FIGURES if f"{kind}_{name}" in report]
    return ", ".join(f"{FIGURES[name]} {report[f'{kind}_{name}']:.4g}" for name in names)


def _text(report: dict[str, Any]) -> str:
    rate = report["images_per_second"]
    speed = f"{rate:,.0f} images/s in training, " if rate else ""
    stopped = ", interrupted" if report["interrupted"] else ""
    kind = report["measured_on"]
    chosen = ", which also chose the epoch" if kind == "validation" else ""
    return (
        f"{kind.capitalize()} {_figures(report, kind)} on "
        f"{report[f'{kind}_images']:,} images{chosen} (loss {report[f'{kind}_loss']:.4f}), from "
        f"epoch {report['best_epoch']} of {report['epochs']}{stopped}.\n"
        f"{speed}{report['seconds']:.1f} s.\n"
        f"{shown(report['folder'])}: {', '.join(report['files'])}\n"
        f"{_for_keras(report['folder'])}"
    )
