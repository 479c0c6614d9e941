"""Which channels each filter of a convolution sees, where it does not see all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fastcnn.initializers.initializer import Initializer, Shape
from fastcnn.layers.base import Layer

Connections: TypeAlias = tuple[tuple[int, ...], ...]
"""A row for each channel, of a 1 for each filter that sees it and else a 0."""

ConnectionsLike: TypeAlias = Sequence[Sequence[int]] | np.ndarray

MOST_PAIRS = 1 << 24
"""Of a channel and a filter: kernels count them in float32."""


def connections(layer: Layer, value: object, filters: int, groups: int) -> Connections | None:
    """Return a table of connections as plain numbers; None stays."""
    if value is None:
        return None
    try:
        table = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or table.shape[1] != filters or not np.isin(table, (0, 1)).all():
        raise ValueError(
            f"{layer.label}: connections must be a table of 0 and 1 with a row for each channel of "
            f"the input and a column for each of the {filters} filters. Received {value!r}."
        )
    if groups != 1:
        raise ValueError(
            f"{layer.label}: connections and groups both say which channels a filter sees: pass "
            f"one of them. Received groups={groups}."
        )
    if table.size > MOST_PAIRS:
        raise ValueError(
            f"{layer.label}: connections must be of at most {MOST_PAIRS:,} pairs of a channel and "
            f"a filter. Received {table.shape[0]} x {filters}."
        )
    alone = np.flatnonzero(table.sum(axis=0) == 0)
    if alone.size:
        raise ValueError(
            f"{layer.label}: connections must give each filter a channel. Received none for filter "
            f"{alone[0]}."
        )
    return tuple(tuple(map(int, row)) for row in table)


class ConnectedInitializer(Initializer):
    """What another initializer draws for all pairs, of the connected ones.

    Args:
        initializer: The other one.
        table: The table of connections.
    """

    def __init__(self, initializer: Initializer, table: Connections) -> None:
        self.initializer = initializer
        self.table = table

    def __call__(self, shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
        table = np.array(self.table, bool)
        dense = self.initializer((*shape[:2], *table.shape), generator)
        return dense[:, :, table]
