"""Keras's layers as fastcnn's: from a class and its configuration, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastcnn import layers
from fastcnn.layers import Layer
from fastcnn.layers.activation import ACTIVATIONS
from fastcnn.regularizers import L1, L1L2, L2
from fastcnn.utils import naming

CHANNELS_LAST = {"data_format": ("channels_last", None)}
REGULARIZERS = {"L1": L1, "L2": L2, "L1L2": L1L2, "l1": L1, "l2": L2, "l1_l2": L1L2}
# What says nothing of an inference: where a layer begins, and how it is computed.
HARMLESS = {
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "seed"),
    *("fused", "synchronized", "implementation", "autocast", "build_config", "quantization_config"),
    *("renorm_momentum", "input_dim", "input_dtype"),
    "axis",  # the last one: it is checked once shapes are known
}


@dataclass
class Settings:
    """One layer's configuration.

    Args:
        class_name: The name of its class in Keras.
        config: Its settings.
        version: The Keras that wrote it, 1, 2 or 3.
        name: What it is called in fastcnn; None for a name made of its class.
        notes: What of it is left out since it matters in training alone; filled here.
    """

    class_name: str
    config: Mapping[str, Any]
    version: int
    name: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The layer as errors name it."""
        return f"{self.class_name} '{self.config.get('name', '')}'"

    def refuse(self, name: str, words: str = "which fastcnn has not") -> ValueError:
        """Return the error for a setting.

        Args:
            name: The setting's.
            words: What is wrong with it.
        """
        return ValueError(f"{self.label} has {name}={self.config.get(name)!r}, {words}")


@dataclass(frozen=True)
class Kind:
    """How a class of Keras's becomes one of fastcnn's, whose settings have the same names.

    Args:
        make: fastcnn's class.
        renamed: Ours by Keras's name of a setting, where they differ.
        fixed: The settings that fastcnn has not, with the values that they may have.
    """

    make: Callable[..., Layer]
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


def make_layers(settings: Settings) -> list[Layer]:
    """Return the layers that compute what a layer of Keras does; none for the identity.

    Args:
        settings: The layer's.

    Raises:
        ValueError: fastcnn has no such layer, or not with these settings; the message names it.
    """
    special = SPECIAL.get(settings.class_name)
    try:
        if special is not None:
            return special(settings)
        if settings.class_name in KINDS:
            return _from_kind(settings, KINDS[settings.class_name])
    except (TypeError, OverflowError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{settings.label} cannot be made: {error}") from None
    nearest = naming.unknown("layer", settings.class_name, [*KINDS, *SPECIAL])
    raise ValueError(f"{settings.label} is of a class that fastcnn has no layer for ({nearest})")


def _from_kind(settings: Settings, kind: Kind, **changed: object) -> list[Layer]:
    """Return a layer of the same settings, and its activation where that is a layer by itself."""
    chosen: dict[str, Any] = {}
    behind: list[Layer] = []
    names = getattr(kind.make, "settings", ())
    for key, value in settings.config.items():
        name = kind.renamed.get(key, key)
        if key in changed:
            continue
        if key in kind.fixed:
            _check_fixed(settings, key, kind.fixed[key])
        elif name == "activation" and "activation" in names:
            chosen[name], behind = _activation(settings, value)
        elif name.endswith("_regularizer"):
            _take_regularizer(settings, key, name in names, chosen)
        elif name.endswith("_constraint"):
            _note(settings, key)
        elif name in names and not name.endswith("_initializer"):
            chosen[name] = plain(value)
        elif key not in HARMLESS and not name.endswith("_initializer") and value:
            raise settings.refuse(key)
    trainable = settings.config.get("trainable") is not False
    chosen.update(changed)
    try:
        layer = kind.make(**chosen, name=settings.name, trainable=trainable)
    except ValueError as error:
        raise ValueError(f"{settings.label} cannot be made: {error}") from None
    return [layer, *behind]


def _check_fixed(settings: Settings, key: str, values: tuple[object, ...]) -> None:
    value = plain(settings.config[key])
    if value in values:
        return
    if value == "channels_first":
        raise settings.refuse(key, "and fastcnn reads channels last alone")
    raise settings.refuse(key)


def _take_regularizer(settings: Settings, key: str, ours: bool, chosen: dict[str, Any]) -> None:
    value = settings.config[key]
    if value is None:
        return
    entry = value if isinstance(value, dict) else {"class_name": value, "config": {}}
    cls = REGULARIZERS.get(str(entry.get("class_name")))
    config = entry.get("config")
    if cls is None or not ours or not isinstance(config, dict):
        _note(settings, key)
        return
    numbers = {name: number for name, number in config.items() if name in ("l1", "l2")}
    chosen[key] = cls(**numbers)


def _note(settings: Settings, key: str) -> None:
    if settings.config[key] is not None:
        settings.notes.append(f"{key} of {settings.label}")


def _activation(settings: Settings, value: object) -> tuple[str | None, list[Layer]]:
    """Return an activation's name, or None and the layer that it is."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if isinstance(value, dict):
        config = value.get("config")
        class_name, version = str(value.get("class_name")), settings.version
        config = config if isinstance(config, dict) else {}
        return None, make_layers(Settings(class_name, config, version, None, settings.notes))
    if value is None or value == "linear":
        return None, []
    if value == "hard_sigmoid" and settings.version < 3:
        raise settings.refuse(
            "activation", "which was another function, 0.2 * x + 0.5, before Keras 3"
        )
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise settings.refuse("activation")
    return value, []


def plain(value: Any) -> Any:
    """Return a value of a configuration without what Keras wraps arrays and tuples in.

    Args:
        value: The value.
    """
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return plain(value["config"]["value"])
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return tuple(plain(item) for item in value["items"])
    if isinstance(value, list):
        return tuple(plain(item) for item in value)
    return value


def numbers(value: Any) -> Any:
    """Return a number, or nested numbers as a flat list, or None.

    Args:
        value: What a configuration holds.
    """
    value = plain(value)
    if not isinstance(value, tuple):
        return value
    flat: list[Any] = []
    for item in value:
        inner = numbers(item)
        flat += inner if isinstance(inner, list) else [inner]
    return flat


def _activation_layer(settings: Settings) -> list[Layer]:
    name, behind = _activation(settings, settings.config.get("activation"))
    return behind or [layers.Activation(name or "linear", name=settings.name)]


def _softmax(settings: Settings) -> list[Layer]:
    return [layers.Softmax(name=settings.name)]


def _dropout(settings: Settings) -> list[Layer]:
    shape = plain(settings.config.get("noise_shape"))
    rate = settings.config.get("rate", settings.config.get("p", 0))
    if shape is None:
        return [layers.Dropout(rate, name=settings.name)]
    if shape[0] is None and len(shape) > 1 and {*shape[1:]} == {1}:
        return [layers.StochasticDepth(rate, name=settings.name)]
    raise settings.refuse("noise_shape")


def _rescaling(settings: Settings) -> list[Layer]:
    scale, offset = (numbers(settings.config.get(key, 0.0)) for key in ("scale", "offset"))
    return [layers.Rescaling(scale, offset, name=settings.name)]


def _normalization(settings: Settings) -> list[Layer]:
    if settings.config.get("invert"):
        raise settings.refuse("invert")
    mean, variance = (
        numbers(settings.config.get(key, settings.config.get(f"input_{key}")))
        for key in ("mean", "variance")
    )
    return [layers.Normalization(mean, variance, name=settings.name)]


def _in_training_alone(settings: Settings) -> list[Layer]:
    settings.notes.append(settings.label)
    return []


def _locally_connected(settings: Settings) -> list[Layer]:
    fixed = {**CHANNELS_LAST, "implementation": (1, 2, 3, None)}
    return _from_kind(settings, Kind(layers.LocallyConnected2D, fixed=fixed))


KINDS = {
    "Conv2D": Kind(layers.Conv2D, fixed=CHANNELS_LAST),
    "DepthwiseConv2D": Kind(layers.DepthwiseConv2D, fixed={**CHANNELS_LAST, "groups": (1, None)}),
    "SeparableConv2D": Kind(layers.SeparableConv2D, fixed={**CHANNELS_LAST, "groups": (1, None)}),
    "Conv2DTranspose": Kind(layers.Conv2DTranspose, fixed=CHANNELS_LAST),
    "Dense": Kind(layers.Dense),
    "BatchNormalization": Kind(layers.BatchNormalization),
    "LayerNormalization": Kind(layers.LayerNormalization, fixed={"rms_scaling": (False, None)}),
    "GroupNormalization": Kind(layers.GroupNormalization),
    "MaxPooling2D": Kind(layers.MaxPooling2D, fixed=CHANNELS_LAST),
    "AveragePooling2D": Kind(layers.AveragePooling2D, fixed=CHANNELS_LAST),
    "GlobalAveragePooling2D": Kind(layers.GlobalAveragePooling2D, fixed=CHANNELS_LAST),
    "GlobalMaxPooling2D": Kind(layers.GlobalMaxPooling2D, fixed=CHANNELS_LAST),
    "Flatten": Kind(layers.Flatten, fixed=CHANNELS_LAST),
    "Reshape": Kind(layers.Reshape),
    "Permute": Kind(layers.Permute),
    "ZeroPadding2D": Kind(layers.ZeroPadding2D, fixed=CHANNELS_LAST),
    "Cropping2D": Kind(layers.Cropping2D, fixed=CHANNELS_LAST),
    "UpSampling2D": Kind(layers.UpSampling2D, fixed=CHANNELS_LAST),
    "SpatialDropout2D": Kind(
        layers.SpatialDropout2D, {"p": "rate"}, {**CHANNELS_LAST, "noise_shape": (None,)}
    ),
    "ReLU": Kind(layers.ReLU),
    "LeakyReLU": Kind(layers.LeakyReLU, {"alpha": "negative_slope"}),
    "ELU": Kind(layers.ELU),
    "PReLU": Kind(layers.PReLU),
    "ThresholdedReLU": Kind(layers.ThresholdedReLU),
}
"""By the names of Keras's classes."""

AUGMENTATIONS = (
    *("GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast"),
    *("RandomBrightness", "RandomHue", "RandomSaturation", "RandomSharpness", "RandomShear"),
    *("RandomGrayscale", "RandomErasing", "RandomColorJitter", "RandomColorDegeneration"),
    *("RandomPosterization", "RandomPerspective", "RandomGaussianBlur", "RandomElasticTransform"),
    *("RandomInvert", "CutMix", "MixUp", "RandAugment", "AugMix"),
)
SPECIAL: dict[str, Callable[[Settings], list[Layer]]] = {
    "Activation": _activation_layer,
    "Softmax": _softmax,
    "Dropout": _dropout,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "LocallyConnected2D": _locally_connected,
    "Identity": lambda settings: [],
    **dict.fromkeys(AUGMENTATIONS, _in_training_alone),
}
