"""fastcnn's layers as Keras's: a class, its configuration and its weights, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastcnn import layers
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import NO_PADDING, Padding
from fastcnn.layers import Layer
from fastcnn.layers.convolution import Convolution
from fastcnn.regularizers import L1, L1L2, L2
from fastcnn.utils.settings import ConfiguredSettings


class Word(NamedTuple):
    """A layer of Keras's.

    Args:
        class_name: Its class.
        config: Its settings, without a name.
        parameters: What its weights are taken from, in Keras's order.
        suffix: What its name has behind that of fastcnn's layer, where that becomes several.
    """

    class_name: str
    config: dict[str, Any]
    parameters: Sequence[Parameter] = ()
    suffix: str = ""


# Keras's own settings of what fastcnn stores of a layer; what fresh weights begin with is not among
# them, since there are weights.
SAME = (
    *(layers.Dense, layers.BatchNormalization, layers.LayerNormalization),
    *(layers.GroupNormalization, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D),
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.ZeroPadding2D, layers.Cropping2D),
    *(layers.UpSampling2D, layers.Dropout, layers.SpatialDropout2D, layers.ReLU),
    *(layers.LeakyReLU, layers.ELU, layers.PReLU, layers.Softmax, layers.Rescaling),
    layers.Activation,
)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
# fastcnn's own: they change how a layer is computed, not what, or are refused where they do.
OWN_SETTINGS = {
    *("strategy", "depthwise_strategy", "pointwise_strategy", "padding_mode", "ceil_mode"),
    *("connections", "count_include_pad"),
}
NOT_NEGATIVE = {"relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus"}
KEPT = (
    *(layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D),
    *(layers.GlobalAveragePooling2D, layers.ZeroPadding2D, layers.Cropping2D, layers.UpSampling2D),
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.Dropout, layers.SpatialDropout2D),
)
"""Whose output has numbers below zero only where the input has."""


def never_negative(layer: Layer, input_never_negative: bool) -> bool:
    """Return whether no number of a layer's output is below zero.

    Args:
        layer: A layer that holds no others.
        input_never_negative: Whether none of its input is.
    """
    if isinstance(layer, layers.ReLU):
        return layer.negative_slope == 0
    if isinstance(layer, KEPT):
        return input_never_negative
    return getattr(layer, "activation", None) in NOT_NEGATIVE


def words_of(layer: Layer, input_never_negative: bool) -> list[Word]:
    """Return the layers of Keras that compute what a layer does at inference.

    Args:
        layer: A built layer that holds no others.
        input_never_negative: Whether no number of its input is below zero.

    Raises:
        ValueError: Keras has no such layer, or not with its settings; the message names it.
    """
    special = SPECIAL.get(type(layer))
    if special is not None:
        return special(layer)
    if isinstance(layer, CONVOLUTIONS):
        return _convolution(layer)
    if isinstance(layer, POOLINGS):
        return _pooling(layer, input_never_negative)
    if type(layer) not in SAME:
        raise unknown_to_keras(layer)
    return [Word(type(layer).__name__, _config(layer), layer.parameters)]


def unknown_to_keras(layer: Layer) -> ValueError:
    """Return the error for a layer that Keras has no class for, or whose class is a user's own."""
    if getattr(layers, type(layer).__name__, None) is type(layer):
        return ValueError(f"{layer.label} cannot be written, since Keras has no such layer")
    return ValueError(
        f"{layer.label} cannot be written: its class is your own, and to_keras does not know which "
        "of Keras's it is"
    )


def _config(layer: Layer, **changed: object) -> dict[str, Any]:
    """Return a layer's settings as Keras has them."""
    config: dict[str, Any] = {"trainable": layer.trainable}
    for name in layer.settings:
        if name in OWN_SETTINGS or name.endswith("_initializer"):
            continue
        value = changed.get(name, getattr(layer, name))
        if isinstance(value, ConfiguredSettings):
            value = _regularizer(layer, name, value)
        if name == "activation" and value == "gelu_tanh":
            raise ValueError(f"{layer.label} has activation='gelu_tanh', which no name of Keras is")
        config[name] = value
    return config


def _regularizer(layer: Layer, name: str, value: ConfiguredSettings) -> dict[str, Any]:
    if type(value) not in (L1, L2, L1L2):
        raise ValueError(f"{layer.label} has {name}={value!r}, which Keras has not")
    class_name, config = type(value).__name__, value.get_config()
    entry = {"class_name": class_name, "config": config, "registered_name": None}
    return {"module": "keras.regularizers", **entry}


def _padded(layer: Layer, padding: Padding, **changed: object) -> list[Word]:
    """Return the layer behind a padding of zeros in pixels."""
    main = Word(type(layer).__name__, _config(layer, padding="valid", **changed), layer.parameters)
    if padding == NO_PADDING:
        return [main]
    return [Word("ZeroPadding2D", {"padding": padding}, suffix="_pad"), main]


def _convolution(layer: Convolution) -> list[Word]:
    if layer.padding_mode != "zeros" and layer.border(layer.input_shape) != NO_PADDING:
        raise ValueError(
            f"{layer.label} has padding_mode={layer.padding_mode!r}, and Keras pads with zeros"
        )
    if getattr(layer, "connections", None) is not None:
        raise ValueError(f"{layer.label} has connections, which Keras has not")
    if layer.padding in ("valid", "same"):
        return [Word(type(layer).__name__, _config(layer), layer.parameters)]
    return _padded(layer, layer.border(layer.input_shape))


def _pooling(layer: Any, input_never_negative: bool) -> list[Word]:
    reach = layer._reach(layer.input_shape)
    counted = getattr(layer, "count_include_pad", False)
    if layer.padding in ("valid", "same") and not (layer.ceil_mode or counted):
        return [Word(type(layer).__name__, _config(layer))]
    if reach == NO_PADDING or _ignores_zeros(layer, input_never_negative, counted):
        return _padded(layer, reach)
    raise ValueError(
        f"{layer.label} has padding={layer.padding!r} and ceil_mode={layer.ceil_mode}, which "
        "Keras has not: there, pixels of padding would count"
    )


def _ignores_zeros(layer: Layer, input_never_negative: bool, counted: bool) -> bool:
    """Return whether zeros around the input make no difference to a pooling."""
    if isinstance(layer, layers.AveragePooling2D):
        return counted and not layer.ceil_mode
    return input_never_negative


def _stochastic_depth(layer: Any) -> list[Word]:
    shape = [None, *(1 for _ in layer.input_shape)]
    return [Word("Dropout", {"rate": layer.rate, "noise_shape": shape})]


def _thresholded(layer: Any) -> list[Word]:
    return [Word("ReLU", {"threshold": layer.theta})]


def _normalization(layer: Any) -> list[Word]:
    values = {name: getattr(layer, name) for name in ("mean", "variance")}
    if not layer.fitted:
        values = {"mean": 0.0, "variance": 1.0}
    channels = layer.input_shape[-1]
    spread = {
        name: [float(n) for n in value] if isinstance(value, tuple | list) else channels * [value]
        for name, value in values.items()
    }
    return [Word("Normalization", {"axis": -1, **spread})]


def _transposed(layer: Any) -> list[Word]:
    if layer.groups != 1:
        raise ValueError(f"{layer.label} has groups={layer.groups}, which Keras has not there")
    if layer.padding not in ("valid", "same"):
        raise ValueError(f"{layer.label} has padding={layer.padding!r}, which Keras has not there")
    config = _config(layer)
    config.pop("groups")
    return [Word("Conv2DTranspose", config, layer.parameters)]


SPECIAL: dict[type[Layer], Callable[[Any], list[Word]]] = {
    layers.StochasticDepth: _stochastic_depth,
    layers.ThresholdedReLU: _thresholded,
    layers.Normalization: _normalization,
    layers.Conv2DTranspose: _transposed,
}
