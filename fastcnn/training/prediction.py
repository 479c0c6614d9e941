"""The outputs of a model for any source of images."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pipeline.stream import Stream
from fastcnn.training import epoch_iterator, input_checks
from fastcnn.training.model_settings import ModelSettings

USUAL_BATCH = 32


def outputs(model: ModelSettings, source: object, batch_size: int) -> NDArray[np.float32]:
    """What `predict` returns for an adapted source, a fresh array [n, *output_shape]."""
    run = model.engine().predict
    if isinstance(source, Stream):
        return np.concatenate(
            [run(batch) for batch in epoch_iterator.prepared_stream(model, source)]
        )
    images = input_checks.images(model, source, "predict: x")
    # Few images, whatever their number, go by the plan of a usual batch; one goes by itself.
    capacity = min(batch_size, max(len(images), USUAL_BATCH)) if len(images) > 1 else 1
    if isinstance(images, np.ndarray) and len(images) <= batch_size and not model.preprocessing:
        return run(images, capacity)
    outputs = np.empty((len(images), *model.output_shape), np.float32)
    start = 0
    with closing(epoch_iterator.prepared(model, images, batch_size)) as batches:
        for batch in batches:
            outputs[start : start + len(batch)] = run(batch, capacity)
            start += len(batch)
    return outputs
