"""The outputs of a model for any source of images."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pipeline.stream import Stream
from fastcnn.training import among_ranks, epoch_iterator, input_checks, stream_shares
from fastcnn.training.model_settings import ModelSettings

USUAL_BATCH = 32


def outputs(model: ModelSettings, source: object, batch_size: int) -> NDArray[np.float32]:
    """What `predict` returns for an adapted source, a fresh array [n, *output_shape]."""
    run = model.engine().predict
    if isinstance(source, Stream):
        return _of_stream(model, source)
    images = input_checks.images(model, source, "predict: x")
    among_ranks.agree_on_images(model, images, batch_size)
    # Few images, whatever their number, go by the plan of a usual batch; one goes by itself.
    capacity = min(batch_size, max(len(images), USUAL_BATCH)) if len(images) > 1 else 1
    if isinstance(images, np.ndarray) and len(images) <= batch_size and not model.preprocessing:
        return run(images, capacity)
    first, end = among_ranks.own_part(model, len(images), batch_size)
    outputs = np.empty((end - first, *model.output_shape), np.float32)
    start = 0
    batches = epoch_iterator.prepared(model, images, batch_size, part=(first, end))
    with closing(batches):
        for batch in batches:
            outputs[start : start + len(batch)] = run(batch, capacity)
            start += len(batch)
    return among_ranks.gathered(model, outputs)


def _of_stream(model: ModelSettings, stream: Stream) -> NDArray[np.float32]:
    """The outputs for an iterable, whose batches ranks predict in turn."""
    among_ranks.agree_on_images(model, stream, None)
    own: dict[int, NDArray[np.float32]] = {}
    prepared = epoch_iterator.prepared_stream(model, stream)
    if model.ranks is not None:
        prepared = stream_shares.same_on_all(model.ranks, prepared, stream.name)
    with closing(prepared) as batches:
        for number, batch in enumerate(batches):
            if among_ranks.is_turn(model, number):
                own[number] = model.engine().predict(batch)
    every = {0: own} if model.ranks is None else dict(enumerate(model.ranks.gather(own)))
    by_number = {number: part for each in every.values() for number, part in each.items()}
    return np.concatenate([by_number[number] for number in sorted(by_number)])
