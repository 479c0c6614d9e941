"""Settings of a training from a file and from --set, as if they stood on the command line."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.train_settings import NAMES
from fastcnn.utils import naming

OPTIMIZER = "optimizer."
"""What the names of an optimizer's own arguments begin with."""
REASONS = "reasons"
"""A table of a run's settings that tells why they were chosen; it sets nothing."""
VALIDATION = ("validation", "validation_data")
"""Settings that each say where the images to validate on come from: one that is asked for replaces
both of a file."""
OPTIONS = {"validation": "validation-split"}
"""Options that are not called as their settings."""


def merge(args: argparse.Namespace) -> None:
    """Fill in the settings that the command line leaves open: from --set, then from --config.

    Raises:
        UsageError: The file cannot be read, or a name is not that of a setting.
    """
    words: dict[str, Any] = {}
    if args.config is not None:
        words |= _flat(_read(Path(args.config)))
        for name, other in (VALIDATION, VALIDATION[::-1]):
            if getattr(args, name, None) is not None:
                words.pop(other, None)
    for text in args.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set: expected KEY=VALUE, such as lr=0.001. Received '{text}'.")
        words[key.strip().replace("-", "_")] = _value(value)
    optimizer_options = {
        key.removeprefix(OPTIMIZER): words.pop(key)
        for key in list(words)
        if key.startswith(OPTIMIZER)
    }
    for key in words:
        if key not in NAMES or key == "optimizer_options":
            settings = [name for name in NAMES if name != "optimizer_options"]
            raise UsageError(naming.unknown("setting", key, settings))
    parsed = _parsed(words)
    for name in NAMES:
        if getattr(args, name, None) is None:
            setattr(args, name, getattr(parsed, name, None))
    args.optimizer_options = optimizer_options or None


def _read(path: Path) -> object:
    """What a file holds; UsageError where that cannot be read."""
    ending = path.suffix.lower()
    if ending not in READERS:
        raise UsageError(
            f"--config: '{path}' must end in {', '.join(READERS)}, which says how it is written."
        )
    kind, parsed = READERS[ending]
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"--config: '{path}' cannot be read: {error.strerror}.") from None
    if not text.strip():
        raise UsageError(f"--config: '{path}' is empty. Write settings by name, as lr = 0.001.")
    try:
        return parsed(text)
    except ImportError:
        raise UsageError(
            f"--config: '{path}' is YAML, which takes PyYAML to read, and that is not installed. "
            "Write it as .toml or .json, or pip install pyyaml."
        ) from None
    except Exception as error:  # PyYAML's are of no kind that is known without it
        place = PLACE.search(str(error))
        where = f"line {place[1]}, column {place[2]}" if place else "its end"
        raise UsageError(
            f"--config: '{path}' is not valid {kind}: what is wrong is at {where}."
        ) from None


def _of_yaml(text: str) -> object:
    import yaml  # type: ignore[import-untyped,import-not-found,unused-ignore]

    return yaml.safe_load(text)


READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    ".toml": ("TOML", tomllib.loads),
    ".json": ("JSON", json.loads),
    ".yaml": ("YAML", _of_yaml),
    ".yml": ("YAML", _of_yaml),
}
PLACE = re.compile(r"line (\d+),? column (\d+)")
"""Where a parser stood still, as each of them says it."""


def _flat(config: object) -> dict[str, Any]:
    """The settings of a file, an optimizer's own under names such as "optimizer.beta_1"."""
    if not isinstance(config, dict):
        raise UsageError("--config: the file must hold settings by name.")
    flat = {}
    for name, value in config.items():
        key = str(name).replace("-", "_")
        if key == REASONS:
            continue
        if key in ("optimizer", "optimizer_options") and isinstance(value, dict):
            table = dict(value)
            if "name" in table:
                flat["optimizer"] = table.pop("name")
            flat |= {OPTIMIZER + inner: _number(number) for inner, number in table.items()}
        else:
            flat[key] = value
    return {name: value for name, value in flat.items() if value is not None}


def _value(text: str) -> Any:
    """A value as TOML has it, or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _number(value: Any) -> Any:
    """A number that YAML takes for a text, as 1e-7."""
    return _value(value) if isinstance(value, str) else value


def _parsed(words: dict[str, Any]) -> argparse.Namespace:
    """What the words would be on the command line; argparse complains in their name."""
    from fastcnn.cli.options import train  # whose options these are
    from fastcnn.cli.parser import Parser

    line = []
    for name, value in words.items():
        option = f"--{OPTIONS.get(name, name.replace('_', '-'))}"
        if name == "image_size" and isinstance(value, list):
            value = "x".join(map(str, value))
        if isinstance(value, bool):  # an option that stands alone, or does not stand there
            line += [option] if value else []
            continue
        for part in value if isinstance(value, list) else [value]:
            line.append(f"{option}={part}")
    parser = Parser(prog="fastcnn train", usage=argparse.SUPPRESS)
    train.add(parser)
    return parser.parse_args(line)
