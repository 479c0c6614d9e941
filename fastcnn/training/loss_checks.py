"""What a network ends in, and whether that suits its loss."""

from __future__ import annotations

from collections.abc import Sequence

from fastcnn.layers import (
    ELU,
    Activation,
    AuxiliaryClassifier,
    AveragePooling2D,
    BatchNormalization,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LeakyReLU,
    LocalContrastNormalization,
    LocallyConnected2D,
    MaxPooling2D,
    Permute,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    SeparableConv2D,
    Softmax,
    SpatialDropout2D,
    StochasticDepth,
    ThresholdedReLU,
    UpSampling2D,
)
from fastcnn.losses import CustomLoss, Loss
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import training_warning

# Layers whose outputs are, or lie between, the numbers that they are given.
PASSING = (
    *(AuxiliaryClassifier, Dropout, SpatialDropout2D, StochasticDepth),
    *(Flatten, Reshape, Permute, Cropping2D, UpSampling2D, AveragePooling2D, MaxPooling2D),
    *(GlobalAveragePooling2D, GlobalMaxPooling2D),
)
ACTIVATED = (
    *(Activation, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D),
    *(LocallyConnected2D, SeparableConv2D),
)
NORMALIZING = (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    LocalContrastNormalization,
)
"""Layers whose outputs lie around 0, whatever they are given."""
PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
NEVER_NEGATIVE = ("relu", "relu6", "softplus")
SIGNED = (
    *("linear", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "tanh"),
    *("swish", "silu", "hard_swish", "hard_silu", "mish"),
)
"""Activations whose outputs may be negative."""


def ending(layers: Sequence[Layer]) -> str | None:
    """The activation whose values come out of layers in a row.

    "linear" where they may be any numbers, None where that is not known: of a layer of the user's
    own, of branches that end differently, or where nothing changes the input.
    """
    for layer in reversed(layers):
        kind = type(layer)
        if kind in ACTIVATED and layer.activation != "linear":  # type: ignore[attr-defined]
            return layer.activation or "linear"  # type: ignore[attr-defined]
        if kind is Softmax:
            return "softmax"
        if kind is ThresholdedReLU:
            return "relu"
        if kind is ReLU:
            return "leaky_relu" if layer.negative_slope else "relu"  # type: ignore[attr-defined]
        if kind in (LeakyReLU, PReLU, ELU):
            return "elu" if kind is ELU else "leaky_relu"
        if kind in NORMALIZING:
            return "linear"
        if kind in (Residual, Concat):
            return _ending_of_branches(layer)  # type: ignore[arg-type]
        if kind not in (*PASSING, Activation):
            return None
    return None


def _ending_of_branches(layer: Residual | Concat) -> str | None:
    """What is known of branches that are added, or put side by side: whether any number may come
    out, and else what all of them end in, where that holds for both together."""
    ends = {ending(chain) for chain in layer.chains}
    if ends & {*SIGNED}:
        return "linear"
    added = isinstance(layer, Residual)
    if isinstance(layer, Residual) and not layer.has_shortcut:
        ends.add(None)
    end = ends.pop() if len(ends) == 1 else None
    keeps = end in ("relu", "softplus") or (
        end in ("relu6", "sigmoid", "hard_sigmoid") and not added
    )
    return end if keeps else None


def _squashed_twice(layers: Sequence[Layer]) -> str | None:
    """What an activation at the end is applied to, where that is a softmax or sigmoid already."""
    last = next((n for n in reversed(range(len(layers))) if type(layers[n]) not in PASSING), 0)
    if type(layers[last]) in (Activation, Softmax) and ending(layers[last:]) in PROBABILITIES:
        before = ending(layers[:last])
        return before if before in PROBABILITIES else None
    return None


def refuse_misfit(model: ModelSettings, loss: Loss, method: str) -> None:
    """ValueError where a network can never learn what its loss asks for."""
    for layers in _endings(model):
        misfit = _never(layers, model.output_shape[-1], loss)
        if misfit:
            raise ValueError(f"{method}: {misfit}")


def _endings(model: ModelSettings) -> list[Sequence[Layer]]:
    """The layers whose outputs go into a loss: the network's, and each auxiliary classifier's."""
    return [model.layers, *(side.chains[0] for side in model.layers.auxiliary_classifiers)]


def _never(layers: Sequence[Layer], labels: int, loss: Loss) -> str | None:
    """Why layers that end in so many outputs can never learn what a loss asks for, or None."""
    end, name = ending(layers), layers[-1].name
    if labels == 1 and loss.has_classes:
        return (
            f"the loss '{loss.name}' needs an output for each of at least two classes. "
            f"Received 1 output from layer '{name}'; give it 2, or compile with "
            f"BinaryCrossentropy(from_logits={end not in PROBABILITIES})."
        )
    if labels == 1 and end == "softmax":
        return (
            f"softmax of a single output is always 1. Give layer '{name}' "
            "activation='sigmoid', or 2 outputs."
        )
    maker = type(loss).fuses
    if maker and not loss.from_logits and end in SIGNED:
        takes = "activation" in layers[-1].settings
        remedy = f"give it activation='{maker}'" if takes else f"add Activation('{maker}')"
        return (
            f"the loss '{loss.name}' takes probabilities. The outputs of layer '{name}' "
            f"({end}) may be negative: {remedy}, or compile with "
            f"{type(loss).__name__}(from_logits=True)."
        )
    if maker and loss.from_logits and end in PROBABILITIES:
        return (
            f"the loss '{loss.name}' with from_logits=True applies {maker} itself, and "
            f"layer '{name}' ends in {end} already: leave one of them out."
        )
    if loss.yes_no and _is_hinge(loss) and end in PROBABILITIES:
        return (
            f"the loss '{loss.name}' takes outputs below 0 for no and above 0 for yes. "
            f"Those of layer '{name}' ({end}) are never below 0: leave {end} out, or use 'tanh'."
        )
    return None


def _is_hinge(loss: Loss) -> bool:
    """Whether a loss with answers reads scores of any size: what one of the user's own reads is
    not known."""
    return type(loss).fuses is None and not isinstance(loss, CustomLoss)


def warn_of_misfit(model: ModelSettings, loss: Loss) -> None:
    """Warn where what a network ends in is seldom meant with its loss."""
    for layers in _endings(model):
        if not _never(layers, model.output_shape[-1], loss):
            _warn_of_misfit(layers, loss)


def _warn_of_misfit(layers: Sequence[Layer], loss: Loss) -> None:
    end, name, maker = ending(layers), layers[-1].name, type(loss).fuses
    probabilities = maker and not loss.from_logits
    doubt = None
    if probabilities and end in (*NEVER_NEGATIVE, "softmax", "sigmoid") and end != maker:
        doubt = f"takes the probabilities that {maker} gives; use activation='{maker}'"
    elif maker and loss.from_logits and end == "tanh":
        doubt = "takes logits of any size, and tanh keeps them from -1 to 1; leave it out"
    elif loss.yes_no and _is_hinge(loss) and end in NEVER_NEGATIVE:
        doubt = f"takes outputs below 0 for no, and {end} gives none; leave it out"
    elif loss.has_classes and _is_hinge(loss) and end in PROBABILITIES:
        doubt = f"compares scores of any size, and {end} keeps them from 0 to 1; leave it out"
    twice = _squashed_twice(layers)
    if twice:
        training_warning.warn(
            f"Layer '{name}' applies {end} to what went through {twice} already, which leaves "
            "little between the outputs; leave one of them out, unless this is meant."
        )
    if doubt:
        training_warning.warn(
            f"Layer '{name}' ends in {end}, but the loss '{loss.name}' {doubt}, unless this is "
            "meant."
        )
