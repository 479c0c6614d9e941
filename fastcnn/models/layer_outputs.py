"""What layers make of images: `features` and `activations` of a model."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pipeline.stream import Stream
from fastcnn.graph.inspection import Inspection, role_of
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.training import data_adapter, epoch_iterator, input_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.trainer import USUAL_BATCH
from fastcnn.utils import arguments

Array: TypeAlias = NDArray[np.float32]
LayerLike: TypeAlias = str | Layer
"""A layer of the model, or its name or path."""

Pooling: TypeAlias = Literal["average", "max", "flatten"] | None
POOLINGS = (None, "average", "max", "flatten")


@overload
def features(
    model: ModelSettings,
    x: object,
    layers: LayerLike,
    batch_size: int = USUAL_BATCH,
    pooling: Pooling = None,
) -> Array: ...


@overload
def features(
    model: ModelSettings,
    x: object,
    layers: list[LayerLike] | tuple[LayerLike, ...],
    batch_size: int = USUAL_BATCH,
    pooling: Pooling = None,
) -> dict[str, Array]: ...


def features(
    model: ModelSettings,
    x: object,
    layers: LayerLike | Sequence[LayerLike],
    batch_size: int = USUAL_BATCH,
    pooling: Pooling = None,
) -> Array | dict[str, Array]:
    """Return what layers make of images at inference; what comes behind them is not computed.

    Args:
        model: The model.
        x: Images, or any other source that `predict` takes.
        layers: A layer of the model, or its name or path; or several of them.
        batch_size: Images that go through the model at once.
        pooling: "average" or "max" of each feature map, "flatten" for one vector an image; None
            for outputs as they are.

    Returns:
        The outputs of the layer, a fresh array; of several layers, such arrays by their names as
        they were passed (of layers, by their paths).

    Raises:
        ValueError: One is no layer of this model, there is none, or the images do not fit.

    Shape:
        x [n, *input_shape] -> float32 [n, *layer.output_shape], pooled [n, channels], flat
        [n, numbers].
    """
    arguments.choice("features", "pooling", pooling, POOLINGS)
    single = isinstance(layers, str | Layer) or not isinstance(layers, Iterable)
    wanted: list[Any] = [layers] if single else list(cast(Iterable[LayerLike], layers))
    if not wanted:
        raise ValueError("features: expected at least one layer. Received none.")
    targets = [lookup.own_layer(model, layer, "features") for layer in wanted]
    inspection = Inspection(tuple(dict.fromkeys(layer.path for layer in targets)))
    gathered: dict[str, list[Array]] = {path: [] for path in inspection.outputs}
    count, batches = batches_of(model, x, batch_size, "features")
    engine, capacity = model.engine(), capacity_of(count, batch_size)
    with closing(batches):
        for batch in batches:
            outputs = engine.inspect(batch, inspection, capacity)
            for path, parts in gathered.items():
                parts.append(_pooled(outputs[role_of(path)], pooling))
    whole = {path: _joined(parts) for path, parts in gathered.items()}
    if single:
        return whole[targets[0].path]
    names = [layer if isinstance(layer, str) else layer.path for layer in wanted]
    return {name: whole[layer.path] for name, layer in zip(names, targets, strict=True)}


def activations(model: ModelSettings, x: object, layer: LayerLike) -> Array:
    """Return what a layer makes of images at inference; `features` does so for any source.

    Args:
        model: The model.
        x: Images.
        layer: A layer of the model, or its name or path.

    Returns:
        Its outputs, a fresh array.

    Raises:
        ValueError: It is no layer of this model, or the images do not fit.

    Shape:
        x [n, *input_shape] -> float32 [n, *layer.output_shape].
    """
    target = lookup.own_layer(model, layer, "activations")
    images = input_checks.images(model, x, "activations: x")
    batch = next(epoch_iterator.prepared(model, images, len(images)))
    inspection = Inspection((target.path,))
    return model.engine().inspect(batch, inspection)[role_of(target.path)]


def batches_of(
    model: ModelSettings, x: object, batch_size: int, method: str
) -> tuple[int | None, Generator[NDArray[Any], None, None]]:
    """Return how many images a source holds, where that is known, and its batches, checked and as
    the network sees them."""
    size = arguments.whole(method, "batch_size", batch_size, least=1)
    source = data_adapter.adapted(model, x, f"{method}: x", labelled=False)
    if isinstance(source, Stream):
        return None, epoch_iterator.prepared_stream(model, source)
    images = input_checks.images(model, source, f"{method}: x")
    return len(images), epoch_iterator.prepared(model, images, size)


def capacity_of(count: int | None, batch_size: int) -> int | None:
    """Return how many images a plan is for: few of them, whatever their number, go by the plan of a
    usual batch; one goes by itself."""
    if count is None:
        return None
    return min(batch_size, max(count, USUAL_BATCH)) if count > 1 else 1


def _pooled(outputs: Array, pooling: Pooling) -> Array:
    """Pool each feature map of [n, ..., channels], or flatten them."""
    if pooling is None:
        return outputs
    if pooling == "flatten":
        return outputs.reshape(len(outputs), -1)
    maps = outputs.reshape(len(outputs), -1, outputs.shape[-1])
    pooled: Array = maps.mean(axis=1) if pooling == "average" else maps.max(axis=1)
    return pooled


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
