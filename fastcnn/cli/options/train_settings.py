"""What a training was asked for: kept in its folder, and taken up again by --resume."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fastcnn import applications, optimizers
from fastcnn.applications import learning_rates
from fastcnn.cli.options.errors import UsageError
from fastcnn.utils import naming


@dataclass(frozen=True)
class Settings:
    """The options of `fastcnn train` that decide its result; None stands for the default."""

    model: str = "lenet5"
    data: str = "sample"
    batch_size: int = 32
    steps_per_epoch: int | None = None
    optimizer: str = "adam"
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    seed: int = 0
    validation: float | None = None
    validation_data: str | None = None
    validation_freq: int = 1
    image_size: list[int] | None = None
    color: str | None = None
    resize: str | None = None
    layout: str | None = None
    on_error: str = "skip"
    augment: list[str] = field(default_factory=list)
    init: str | None = None
    freeze: str | None = None


NAMES = tuple(field.name for field in fields(Settings))
OF_OPTIMIZER = {"optimizer", "lr", "momentum", "weight_decay"}


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that stand on the command line."""
    chosen = {name: getattr(args, name) for name in NAMES if getattr(args, name) is not None}
    # As JSON gives them back.
    return {name: list(v) if isinstance(v, tuple) else v for name, v in chosen.items()}


def text(settings: Settings) -> str:
    """The settings as JSON."""
    return json.dumps(asdict(settings), indent=2) + "\n"


def resumed(path: Path, changes: dict[str, object]) -> Settings:
    """The settings kept at `path`; UsageError where the command line asks for others."""
    try:
        settings = Settings(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(f"--resume: there is no training in '{path.parent}'.") from None
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"--resume: '{path}' cannot be read: {error}") from error
    for name, value in changes.items():
        stored = getattr(settings, name)
        if value != stored:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"--resume: {option} {value} differs from the training's own, {stored}. "
                "Leave it out."
            )
    return settings


def _learning_rate(settings: Settings) -> float | None:
    """The rate asked for, or that at which the network learns; None for the optimizer's own."""
    if settings.lr is None and settings.optimizer == "adam":
        with suppress(ValueError):  # a file's model
            return learning_rates.of_adam(applications.get(settings.model))
    return settings.lr


def make_optimizer(settings: Settings) -> optimizers.Optimizer:
    """The optimizer that the settings describe."""
    try:
        classes: dict[str, Any] = dict(optimizers.OPTIMIZERS)
        kind = naming.lookup("optimizer", settings.optimizer, classes)
        arguments = {
            "learning_rate": _learning_rate(settings),
            "momentum": settings.momentum,
            "weight_decay": settings.weight_decay,
        }
        options = {name: value for name, value in arguments.items() if value is not None}
        if "momentum" in options and "momentum" not in kind().get_config():
            raise ValueError(f"'{settings.optimizer}' has no momentum.")
        optimizer: optimizers.Optimizer = kind(**options)
    except ValueError as error:
        raise UsageError(f"--optimizer: {error}") from None
    return optimizer
