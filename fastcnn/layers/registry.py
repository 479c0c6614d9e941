"""The layers by name: how a configuration becomes a layer, also those within layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastcnn.layers.base import MOST_DEPTH, Layer, check_depth
from fastcnn.utils import naming

LAYERS: dict[str, type[Layer]] = {}
"""By the names of their classes; `fastcnn.layers`, which knows them all, registers them."""


def register(*classes: type[Layer]) -> None:
    """Let configurations name these classes.

    Args:
        *classes: fastcnn's own.
    """
    LAYERS.update({cls.__name__: cls for cls in classes})


def from_config(entry: dict[str, Any]) -> Layer:
    """Make a layer from its configuration.

    Args:
        entry: {"class_name": ..., "config": {...}}, as `get_config` has it; a class is
            fastcnn's own, or one that the user passed or registered.

    Returns:
        The layer, not built.

    Raises:
        ValueError: The entry is no such dictionary, the class is unknown, an argument is out of its
            range, or layers lie within each other too deep.
        TypeError: An argument is unknown or of a wrong type.
    """
    naming.check_configuration("layer", entry)
    cls = naming.class_of("layer", entry["class_name"], Layer, LAYERS)
    check_depth(cls.__name__, _depth(entry))
    return cls.from_config(dict(entry["config"]))


def _depth(entry: dict[str, object]) -> int:
    """Return how many configurations of layers lie within each other below this one."""
    depth, inside = -1, [entry]
    while inside and depth <= MOST_DEPTH:
        depth += 1
        inside = [entry for outer in inside for entry in _inner_entries(outer.get("config"))]
    return depth


def _inner_entries(config: object) -> Iterator[dict[str, object]]:
    """Yield the configurations in the lists of a layer's, and in lists in them."""
    values = config.values() if isinstance(config, Mapping) else ()
    lists = [value for value in values if isinstance(value, list)]
    while lists:
        for value in lists.pop():
            if isinstance(value, list):
                lists.append(value)
            elif isinstance(value, dict) and "class_name" in value:
                yield value
