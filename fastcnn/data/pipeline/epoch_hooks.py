"""Telling a source that an epoch begins and ends, where it asks for that.

As Keras's `PyDataset` and `Sequence` (`on_epoch_begin`, `on_epoch_end`) and PyTorch's distributed
samplers (`set_epoch`), known by their methods.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from fastcnn.data.dataset import Subset
from fastcnn.data.pipeline.indexed import Indexed
from fastcnn.data.pipeline.stream import Stream

Batch = TypeVar("Batch")

HOOKS = ("on_epoch_begin", "on_epoch_end", "set_epoch")
WITHIN = ("dataset", "sampler", "batch_sampler")
"""What a loader goes by, which has an epoch of its own."""


def told(
    source: object, batches: Generator[Batch, None, None], epoch: int | None
) -> Generator[Batch, None, None]:
    """Yield the batches of one pass over a source, which is told of its beginning.

    It is told of the end too, unless the pass is broken off.

    Args:
        source: The source.
        batches: What is yielded.
        epoch: Its number in a training, from 0; None for a pass that belongs to none.
    """
    source = _own_source(source)
    if not any(callable(getattr(part, hook, None)) for part in _parts(source) for hook in HOOKS):
        return batches
    return _told(source, batches, epoch)


def _told(
    source: object, batches: Generator[Batch, None, None], epoch: int | None
) -> Generator[Batch, None, None]:
    if epoch is not None:
        for part in _parts(source):
            _call(part, "set_epoch", epoch)
    _call(source, "on_epoch_begin")
    with closing(batches):
        yield from batches
    _call(source, "on_epoch_end")


def _own_source(source: object) -> object:
    """What the user gave, of which a source was made."""
    while isinstance(source, Indexed | Stream | Subset):
        source = source.source
    return source


def _parts(source: object) -> list[object]:
    """A source and what a loader goes by: its data set, its samplers."""
    within = [getattr(source, name, None) for name in WITHIN]
    within.append(getattr(within[-1], "sampler", None))
    unique = {id(part): part for part in (source, *within) if part is not None}
    return list(unique.values())


def _call(owner: object, hook: str, *arguments: object) -> None:
    method = getattr(owner, hook, None)
    if callable(method):
        method(*arguments)
