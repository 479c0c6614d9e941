"""The layers of a model by their names, paths and places, and their settings for strategies."""

from __future__ import annotations

from fastcnn import strategies
from fastcnn.layers.base import Layer
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import naming


def layer(model: ModelSettings, name: str) -> Layer:
    """Return the layer of a name or path.

    Args:
        model: The model.
        name: The layer's name or path.

    Returns:
        The layer, which may be inside another one.

    Raises:
        ValueError: There is no such layer.
    """
    every = model.layers.every
    by_name = {layer.name: layer for layer in reversed(every)}
    by_path = {layer.path: layer for layer in every}
    if name in by_path or name in by_name:
        return by_path.get(name) or by_name[name]
    raise ValueError(naming.unknown("layer", str(name), by_path))


def own_layer(model: ModelSettings, which: str | Layer, method: str) -> Layer:
    """Return a layer of the model, or the one of a name or path; ValueError, in the name of a
    method, where it is another model's."""
    if not isinstance(which, Layer):
        return layer(model, which)
    if not any(which is nested for top in model.layers for nested in top.walk()):
        raise ValueError(f"{method}: {which.label} is a layer of another model.")
    return which


def get_layer(model: ModelSettings, name: str | None = None, index: int | None = None) -> Layer:
    """Return a layer by its name or its place, as Keras does.

    Args:
        model: The model.
        name: The layer's name or path.
        index: Its place in `model.layers`, in place of the name.

    Returns:
        The layer.

    Raises:
        ValueError: Both or neither are passed, or there is no such layer.
    """
    if (name is None) == (index is None):
        raise ValueError(
            "get_layer: give either a name or an index. "
            f"Received name={name!r} and index={index!r}."
        )
    if name is not None:
        return layer(model, name)
    count = len(model.layers)
    if isinstance(index, bool) or not isinstance(index, int) or not -count <= index < count:
        raise ValueError(
            f"get_layer: index must be a whole number below {count}, the number of layers. "
            f"Received {index!r}."
        )
    by_index: Layer = model.layers[index]
    return by_index


def strategy_setting(layer: Layer, wished: object, pinned: dict[str, str]) -> str | None:
    """Return the name of that setting of a layer which holds the wish of one of its convolutions; a
    layer of two has a setting for each.

    A layer of a user's own may name the strategies itself: None where these are the pinned ones.
    ValueError where it has no setting, and its wish leaves a direction to "auto".
    """
    for name in layer.settings:
        if getattr(layer, name, None) is wished:
            return name
    if strategies.wish(layer.label, wished) == pinned:
        return None
    raise ValueError(
        f"{layer.label}: its strategies cannot be pinned, since none of its settings holds "
        f"{wished!r}, for which it asks. Let it have a setting that holds strategies.wish(...), or "
        "name a strategy for each direction."
    )
