"""The settings of a training as its folder keeps them: TOML, which --config takes back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fastcnn.cli.options import config
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import ENDING, Settings
from fastcnn.data.datasets import SAMPLE
from fastcnn.data.datasets.catalog import KNOWN_SETS
from fastcnn.utils import toml_text

PATHS = ("model", "data", "validation_data", "init")
"""Settings that may name files, which are kept from the root on: they are found from anywhere."""
ERRORS = "surrogateescape"
"""Names of files whose bytes are no UTF-8 are kept as they are."""


def text(settings: Settings, reasons: Mapping[str, str]) -> str:
    """The settings as TOML, with why some were chosen."""
    values = asdict(settings)
    values |= {name: _from_root(values[name]) for name in PATHS if values[name] is not None}
    chosen = f"\n[{config.REASONS}]\n{toml_text.lines(reasons)}" if reasons else ""
    return f"# fastcnn train --config settings.toml\n{toml_text.lines(values)}{chosen}"


def read(path: Path) -> tuple[Settings, dict[str, str]]:
    """The settings kept at `path`, and why some were chosen.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds no settings.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8", errors=ERRORS))
    reasons = values.pop(config.REASONS, {})
    try:
        return Settings(**values), reasons
    except TypeError as error:
        raise ValueError(f"it holds other things than settings: {error}") from None


def resumed(path: Path, changes: dict[str, Any]) -> tuple[Settings, dict[str, str]]:
    """The settings kept at `path` for a training that goes on, and why some were chosen.

    Args:
        path: The file.
        changes: What the command line asks for: another last epoch, or where files are now that are
            no longer where they were.

    Raises:
        UsageError: There are none, or the command line asks for others.
    """
    try:
        settings, reasons = read(path)
    except FileNotFoundError:
        raise UsageError(f"--resume: there is no training in '{path.parent}'.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"--resume: '{path}' cannot be read: {error}") from error
    epochs = changes.get("epochs", settings.epochs)
    if settings.schedule in ENDING and epochs > settings.epochs:
        raise UsageError(
            f"--resume: the learning rate of the training falls to 0 in epoch {settings.epochs}, "
            f"and cannot go on to {epochs}. Leave --epochs out, or begin anew with its weights: "
            f"--model {path.parent / 'model.h5'}."
        )
    for name, value in changes.items():
        stored = getattr(settings, name)
        if name == "epochs" or value == stored:
            continue
        if name in PATHS and (_from_root(value) == stored or _is_gone(stored)):
            settings = replace(settings, **{name: value})
            continue
        option = "--" + name.replace("_", "-")
        raise UsageError(
            f"--resume: {option} {value} differs from the training's own, {stored}. Leave it out."
        )
    paths: dict[str, Any] = {name: _from_here(getattr(settings, name)) for name in PATHS}
    return replace(settings, epochs=epochs, **paths), reasons


def _from_root(name: str) -> str:
    """A file's or folder's path from the root on; any other name as it is."""
    named = name in (SAMPLE, *KNOWN_SETS) or not Path(name).exists()
    return name if named or not name else str(Path(name).absolute())


def _from_here(name: str | None) -> str | None:
    """A path below the current folder without that; any other name as it is."""
    folder = Path.cwd()
    if name is None or not Path(name).is_absolute() or not Path(name).is_relative_to(folder):
        return name
    return str(Path(name).relative_to(folder))


def _is_gone(name: str | None) -> bool:
    return name is not None and Path(name).is_absolute() and not Path(name).exists()
