"""Learning rates of single layers: what the optimizer's is multiplied by, by the layers' paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastcnn.layers.base import Layer
from fastcnn.utils import arguments, naming
from fastcnn.utils.settings import FixedDict

REFUSAL = (
    "learning_rate_multipliers cannot be changed in place: set "
    "model.learning_rate_multipliers = {...}."
)


def checked(layers: Sequence[Layer], value: object) -> FixedDict[float]:
    """The multipliers of layers, by path; TypeError or ValueError where there is no such layer, or
    a number is not above 0."""
    if not isinstance(value, Mapping):
        raise TypeError(
            "Sequential: learning_rate_multipliers must be a dictionary of numbers by the names of "
            f"layers. Received {value!r}."
        )
    every = [layer for top in layers for layer in top.walk()]
    paths = {layer.name: layer.path for layer in reversed(every)}
    paths |= {layer.path: layer.path for layer in every}
    multipliers = {}
    for name, number in value.items():
        if name not in paths:
            raise ValueError(naming.unknown("layer", str(name), paths))
        owner = f"learning_rate_multipliers: '{name}'"
        multipliers[paths[name]] = arguments.float32(owner, "the multiplier", number, above=0)
    return FixedDict(multipliers, REFUSAL)


def of_layer(multipliers: Mapping[str, float], path: str) -> float:
    """The multiplier of the layer at a path: its own, or that of the nearest layer around it."""
    while path and path not in multipliers:
        path = path.rpartition("/")[0]
    return multipliers.get(path, 1.0)


def kept(multipliers: Mapping[str, float], layers: Sequence[Layer]) -> FixedDict[float]:
    """Those of the layers that there are."""
    paths = {layer.path for top in layers for layer in top.walk()}
    return FixedDict({path: m for path, m in multipliers.items() if path in paths}, REFUSAL)
