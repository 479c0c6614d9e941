"""Iterables of batches where ranks share each batch: all read it whole, each computes its part."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from fastcnn.backends.step import BatchShare
from fastcnn.data.pipeline.transform import Batch
from fastcnn.distributed.agreement import Disagreement
from fastcnn.distributed.ranks import Ranks
from fastcnn.training.model_settings import ModelSettings

SPARSE = 101
"""One of so many numbers of the images is compared, and each label."""


def shared(
    model: ModelSettings, batches: Generator[Batch, None, None], kind: str, name: str
) -> Generator[Batch, None, None]:
    """Yield batches of a kind of program, of which x has this rank's images where ranks share
    them."""
    if model.ranks is None:
        yield from batches
        return
    with closing(same_on_all(model.ranks, batches, name)) as same:
        for x, y, weight in same:
            first, end = model.engine().share(kind, len(x), len(x))
            yield BatchShare(x[first:end], first, len(x)), y, weight  # type: ignore[misc]


def same_on_all(
    ranks: Ranks, batches: Generator[Any, None, None], name: str
) -> Generator[Any, None, None]:
    """Yield batches, arrays or tuples of such, that all ranks have; Disagreement where they
    differ."""
    number = 0
    with closing(batches):
        while True:
            batch = next(batches, None)
            sums = ranks.gather(None if batch is None else _checksum(batch))
            odd = [rank for rank, other in enumerate(sums) if other != sums[0]]
            if odd:
                raise Disagreement(
                    f"{name}: batch {number} must be the same on all ranks, of which each takes "
                    f"its part. Received another one, or none, on rank {odd[0]} than on rank 0: "
                    "give all ranks the same data in the same order, without a sampler for each."
                )
            if batch is None:
                return
            yield batch
            number += 1


def _checksum(batch: Any) -> int:
    total = 0
    for array in batch if isinstance(batch, tuple) else (batch,):
        if array is not None:
            sparse = array.reshape(-1)[:: SPARSE if array.ndim == 4 else 1]
            total = zlib.crc32(np.ascontiguousarray(sparse).view(np.uint8).data, total)
            total = zlib.crc32(repr(array.shape).encode(), total)
    return total
