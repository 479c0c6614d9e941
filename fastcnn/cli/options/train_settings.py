"""What a training is asked for, and the optimizer that it describes."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from fastcnn import applications, optimizers, schedules
from fastcnn.applications import learning_rates
from fastcnn.cli.options.errors import UsageError
from fastcnn.utils import naming


@dataclass(frozen=True)
class Settings:
    """The options of `fastcnn train` that decide its result; None stands for the default."""

    model: str = "lenet5"
    data: str = "sample"
    epochs: int = 15
    batch_size: int = 32
    steps_per_epoch: int | None = None
    optimizer: str = "adam"
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    gradient_accumulation_steps: int | None = None
    ema: float | None = None
    label_smoothing: float | None = None
    schedule: str = "constant"
    warmup_epochs: int = 0
    class_weight: str | None = None
    seed: int = 0
    validation: float | None = None
    validation_data: str | None = None
    validation_freq: int = 1
    patience: int | None = None
    image_size: list[int] | None = None
    color: str | None = None
    resize: str | None = None
    layout: str | None = None
    on_error: str = "skip"
    augment: list[str] = field(default_factory=list)
    init: str | None = None
    freeze: str | None = None
    adversarial: float | None = None


NAMES = tuple(field.name for field in fields(Settings))
OF_OPTIMIZER = {
    *("optimizer", "lr", "momentum", "weight_decay", "clip_norm", "optimizer_options"),
    *("gradient_accumulation_steps", "ema", "schedule", "warmup_epochs"),
}
PRESETS = ("fast", "good", "best")
SCHEDULES = ("constant", "cosine", "linear", "plateau")
ENDING = ("cosine", "linear")
"""Schedules that reach 0 in the last epoch."""


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that stand on the command line."""
    values = {name: getattr(args, name, None) for name in NAMES}
    chosen = {name: value for name, value in values.items() if value is not None}
    # As TOML and JSON give them back.
    return {name: list(v) if isinstance(v, tuple) else v for name, v in chosen.items()}


def _learning_rate(settings: Settings) -> float | None:
    """The rate asked for, or that at which the network learns; None for the optimizer's own."""
    if settings.lr is None and settings.optimizer == "adam":
        with suppress(ValueError):  # a file's model
            return learning_rates.of_adam(applications.get(settings.model))
    return settings.lr


def make_optimizer(settings: Settings, steps: int = 1) -> optimizers.Optimizer:
    """The optimizer that the settings describe, for epochs of so many steps."""
    try:
        classes: dict[str, Any] = dict(optimizers.OPTIMIZERS)
        kind = naming.lookup("optimizer", settings.optimizer, classes)
        arguments = {
            "learning_rate": _learning_rate(settings),
            "momentum": settings.momentum,
            "weight_decay": settings.weight_decay,
            "global_clipnorm": settings.clip_norm,
            "gradient_accumulation_steps": _several(settings.gradient_accumulation_steps),
            "use_ema": None if settings.ema is None else True,
            "ema_momentum": settings.ema,
            **settings.optimizer_options,
        }
        options = {name: value for name, value in arguments.items() if value is not None}
        if "momentum" in options and "momentum" not in kind().get_config():
            raise ValueError(f"'{settings.optimizer}' has no momentum.")
        optimizer: optimizers.Optimizer = kind(**options)
        optimizer.learning_rate = _rate(settings, optimizer.learning_rate_at(0), steps)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--optimizer: {error}") from None
    return optimizer


def _several(batches: int | None) -> int | None:
    """The batches of an update; None where each is one."""
    return None if batches == 1 else batches


def _rate(settings: Settings, rate: float, steps: int) -> float | schedules.Schedule:
    """The learning rate from the first to the last epoch."""
    rising = settings.warmup_epochs * steps
    falling = max(1, (settings.epochs - settings.warmup_epochs) * steps)
    if settings.warmup_epochs >= settings.epochs:
        raise ValueError(f"--warmup-epochs must be fewer than the {settings.epochs} epochs.")
    if settings.schedule == "cosine":
        if not rising:
            return schedules.CosineDecay(rate, falling)
        return schedules.CosineDecay(
            rate / rising, falling, warmup_target=rate, warmup_steps=rising
        )
    if rising:
        raise ValueError("--warmup-epochs goes with --schedule cosine alone.")
    if settings.schedule == "linear":
        return schedules.PolynomialDecay(rate, falling, end_learning_rate=0.0)
    return rate
