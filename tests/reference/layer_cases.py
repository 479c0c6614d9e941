"""The table of layers and awkward shapes: {name: Case}."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastcnn import layers as L
from fastcnn.layers.activation import ACTIVATIONS
from fastcnn.strategies import STRATEGIES


@dataclass(frozen=True)
class Case:
    """One layer on images of `shape` (rows, columns, channels), `batch` of them at a time."""

    shape: tuple[int, int, int]
    layer: Callable[[], L.Layer]
    batch: int = 2
    forward: str = "sum"  # tolerances: building.TOLERANCE
    backward: str = "sum"


def conv(shape, filters, kernel, batch=2, tolerance="sum", **options) -> Case:
    return Case(shape, lambda: L.Conv2D(filters, kernel, **options), batch, tolerance, tolerance)


def transposed(shape, filters, kernel, batch=2, **options) -> Case:
    return Case(shape, lambda: L.Conv2DTranspose(filters, kernel, **options), batch)


def depthwise(shape, kernel, batch=2, **options) -> Case:
    return Case(shape, lambda: L.DepthwiseConv2D(kernel, **options), batch)


def separable(shape, filters, kernel, batch=2, **options) -> Case:
    return Case(shape, lambda: L.SeparableConv2D(filters, kernel, **options), batch, "sum", "chain")


def max_pool(shape, *arguments, batch=2, **options) -> Case:
    return Case(shape, lambda: L.MaxPooling2D(*arguments, **options), batch, "exact", "sum")


def average_pool(shape, *arguments, batch=2, **options) -> Case:
    return Case(shape, lambda: L.AveragePooling2D(*arguments, **options), batch)


def both_pools(name, *arguments, **options) -> dict[str, Case]:
    """The same windows by both kinds of pooling."""
    return {
        f"max {name}": max_pool(*arguments, **options),
        f"average {name}": average_pool(*arguments, **options),
    }


CONVOLUTIONS = {
    "1x1": conv((4, 5, 3), 5, 1),
    "1x1 one channel, batch 1": conv((5, 5, 1), 1, 1, batch=1),
    "1x1 stride 2": conv((7, 5, 20), 33, 1, strides=2),
    "2x2 same": conv((5, 6, 3), 6, 2, padding="same"),
    "3x3 valid": conv((6, 7, 3), 6, 3),
    "3x3 valid, batch 5": conv((6, 7, 5), 17, 3, batch=5),
    "3x3 same": conv((5, 7, 17), 20, 3, padding="same"),
    "3x3 same, 64 to 64": conv((7, 9, 64), 64, 3, padding="same"),
    "3x3 same, 64 to 64, 28 wide": conv((5, 28, 64), 64, 3, padding="same", batch=1),
    "3x3 without bias": conv((5, 5, 3), 5, 3, use_bias=False),
    "3x3 relu": conv((7, 7, 6), 20, 3, padding="same", activation="relu"),
    "3x3 relu6": conv((7, 7, 6), 20, 3, padding="same", activation="relu6"),
    "3x3 swish": conv((5, 5, 3), 6, 3, activation="swish", tolerance="curve"),
    "3x3 leaky_relu": conv((7, 7, 6), 20, 3, activation="leaky_relu"),
    "3x3 elu": conv((5, 5, 3), 6, 3, activation="elu", tolerance="curve"),
    "3x3 gelu": conv((5, 5, 3), 6, 3, activation="gelu", tolerance="curve"),
    "3x3 sigmoid": conv((5, 5, 3), 6, 3, activation="sigmoid", tolerance="curve"),
    "3x3 tanh": conv((5, 5, 3), 6, 3, activation="tanh", tolerance="curve"),
    "3x3 softmax": conv((5, 5, 3), 6, 3, activation="softmax", tolerance="curve"),
    "3x3 stride 2 same, even": conv((8, 6, 3), 6, 3, strides=2, padding="same"),
    "3x3 stride 2 same, odd": conv((7, 9, 16), 33, 3, strides=2, padding="same"),
    "3x3 stride 2 valid": conv((8, 9, 5), 6, 3, strides=2, batch=5),
    "3x3 stride 2 relu": conv((8, 8, 20), 32, 3, strides=2, padding="same", activation="relu"),
    "3x3 stride 3": conv((11, 10, 3), 17, 3, strides=3, padding="same"),
    "2x2 stride 3, pixels left out": conv((8, 10, 3), 5, 2, strides=3),
    "3x3 strides (1, 2)": conv((6, 7, 3), 5, 3, strides=(1, 2), padding="same"),
    "3x3 strides (3, 1)": conv((7, 6, 6), 5, 3, strides=(3, 1)),
    "4x4 same": conv((6, 6, 3), 6, 4, padding="same"),
    "5x5 same, one channel": conv((9, 9, 1), 6, 5, padding="same"),
    "5x5 valid, one channel, batch 5": conv((9, 8, 1), 20, 5, batch=5),
    "5x5 valid, 20 to 50": conv((6, 6, 20), 50, 5),
    "5x5 to one pixel": conv((5, 5, 16), 120, 5),
    "6x6 stride 2": conv((11, 12, 3), 6, 6, strides=2, padding="same"),
    "7x7 stride 2 same": conv((13, 11, 3), 16, 7, strides=2, padding="same"),
    "7x7 on a smaller image": conv((3, 4, 3), 5, 7, padding="same"),
    "1x7": conv((5, 9, 6), 17, (1, 7), padding="same"),
    "7x1": conv((9, 5, 6), 17, (7, 1), padding="same"),
    "2x3 explicit 1": conv((4, 5, 3), 6, (2, 3), padding=1),
    "3x3 explicit 2, more than same": conv((4, 5, 5), 6, 3, padding=2),
    "3x3 asymmetric": conv((5, 6, 3), 6, 3, padding=((2, 0), (0, 1))),
    "3x3 asymmetric, stride 2": conv((6, 7, 3), 17, 3, strides=2, padding=((0, 1), (2, 1))),
    "3x3 same, edge": conv((5, 6, 17), 6, 3, padding="same", padding_mode="edge"),
    "5x5 stride 2 same, reflect": conv(
        (6, 7, 3), 5, 5, strides=2, padding="same", padding_mode="reflect"
    ),
    "3x3 asymmetric, edge": conv((3, 4, 5), 6, 3, padding=((3, 0), (0, 2)), padding_mode="edge"),
    "3x3 asymmetric, reflect": conv(
        *((4, 3, 5), 6, 3), padding=((3, 1), (0, 2)), padding_mode="reflect", activation="relu"
    ),
    "valid, edge": conv((4, 3, 5), 6, 3, padding_mode="edge"),
    "3x3 on one pixel": conv((1, 1, 20), 6, 3, padding="same"),
    "one row": conv((1, 17, 3), 5, 3, padding="same"),
    "one column": conv((17, 1, 3), 5, 3, padding="same"),
    "3x3 dilation 2": conv((8, 9, 3), 6, 3, dilation_rate=2),
    "3x3 dilation 2 same": conv((7, 6, 17), 20, 3, dilation_rate=2, padding="same"),
    "3x3 dilation (3, 1) same": conv((9, 5, 5), 6, 3, dilation_rate=(3, 1), padding="same"),
    "3x3 dilation 2, asymmetric": conv((6, 5, 3), 6, 3, dilation_rate=2, padding=((3, 1), (0, 2))),
    "2 groups": conv((6, 5, 6), 10, 3, groups=2, padding="same"),
    "3 groups, stride 2": conv((7, 7, 9), 6, 3, groups=3, strides=2, padding="same"),
    "2 groups of 32": conv((5, 6, 64), 64, 3, groups=2, padding="same"),
    "4 groups, 1x1": conv((4, 4, 20), 12, 1, groups=4),
    "a group per channel": conv((6, 6, 5), 15, 3, groups=5),
    "2 groups, dilation 2": conv((8, 8, 4), 34, 3, groups=2, dilation_rate=2, activation="relu"),
    **{
        f"connections, {strategy}": conv(
            *((6, 5, 4), 5, 3),
            padding="same",
            strategy=strategy,
            connections=[[1, 0, 0, 1, 1], [1, 1, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 0, 1]],
            tolerance="chain" if "winograd" in strategy else "sum",
        )
        for strategy in STRATEGIES
    },
    "more images than a slice": conv((6, 6, 3), 6, 3, batch=70),
    "64 channels, batch 33": conv((4, 4, 64), 64, 3, padding="same", batch=33),
}

# Every way in which channels and columns can fall short of a full register tile.
CHANNELS = {
    f"channels {ins} to {outs}": conv((4, 5, ins), outs, 3, padding="same")
    for ins in (1, 3, 16, 17, 33)
    for outs in (1, 3, 5, 6, 15, 16, 17, 20, 31, 32, 33, 47, 49, 65)
}
COLUMNS = {
    f"{columns} columns, {kernel}x{kernel}": conv(
        (3, columns, 3), 17, kernel, padding="same", batch=1
    )
    for columns in (*range(1, 17), 27, 28, 29, 30, 31, 43)
    for kernel in (1, 3)
}

DEPTHWISE = {
    "depthwise 3x3": depthwise((6, 5, 3), 3),
    "depthwise 3x3 same, 17 channels": depthwise((5, 7, 17), 3, padding="same", batch=5),
    "depthwise 3x3 same, 64 channels": depthwise((6, 6, 64), 3, padding="same"),
    "depthwise one channel": depthwise((5, 5, 1), 3, padding="same", batch=1),
    "depthwise multiplier 2": depthwise((6, 5, 5), 3, depth_multiplier=2, padding="same"),
    "depthwise multiplier 3, stride 2": depthwise((7, 8, 6), 3, depth_multiplier=3, strides=2),
    "depthwise stride 2 same": depthwise((7, 8, 20), 3, strides=2, padding="same"),
    "depthwise dilation 2": depthwise((8, 7, 5), 3, dilation_rate=2, padding="same"),
    "depthwise 5x5 asymmetric": depthwise((6, 6, 6), 5, padding=((3, 1), (0, 2))),
    "depthwise relu without bias": depthwise((6, 6, 33), 3, activation="relu", use_bias=False),
    "depthwise 5x5 same, edge": depthwise((6, 5, 3), 5, padding="same", padding_mode="edge"),
    "separable same, reflect": separable((6, 5, 3), 6, 3, padding="same", padding_mode="reflect"),
    "separable 3x3": separable((6, 5, 3), 6, 3),
    "separable same, stride 2": separable((7, 6, 17), 33, 3, strides=2, padding="same"),
    "separable multiplier 2, relu": separable(
        (6, 6, 5), 20, 3, depth_multiplier=2, padding="same", activation="relu"
    ),
    "separable dilation 2": separable((7, 7, 6), 5, 3, dilation_rate=2, padding="same", batch=5),
}

LOCAL = {
    f"locally connected {name}": Case(shape, lambda o=options: L.LocallyConnected2D(**o), batch)
    for name, shape, options, batch in (
        ("3x3", (5, 6, 3), {"filters": 5, "kernel_size": 3}, 2),
        ("1x1", (3, 4, 17), {"filters": 20, "kernel_size": 1, "use_bias": False}, 5),
        (
            "relu, same, stride 2",
            (6, 5, 4),
            {
                "filters": 17,
                "kernel_size": (3, 2),
                "strides": 2,
                "padding": "same",
                "activation": "relu",
            },
            33,
        ),
    )
}

TRANSPOSED = {
    "transposed 3x3": transposed((4, 5, 3), 6, 3),
    "transposed 3x3 same, stride 2": transposed((4, 3, 17), 6, 3, strides=2, padding="same"),
    "transposed 2x2, stride 2, relu": transposed((4, 3, 5), 20, 2, strides=2, activation="relu"),
    "transposed 4x4 same, stride 2": transposed((3, 4, 6), 3, 4, strides=2, padding="same"),
    "transposed 1x1, stride 3": transposed((3, 2, 3), 5, 1, strides=3),
    "transposed 3x3, output_padding 1": transposed(
        (3, 4, 3), 5, 3, strides=2, padding="same", output_padding=1
    ),
    "transposed 3x2, output_padding (1, 0), valid": transposed(
        (3, 4, 3), 5, (3, 2), strides=(2, 3), output_padding=(1, 0)
    ),
    "transposed 3x3 asymmetric, stride 2": transposed(
        (4, 4, 3), 6, 3, strides=2, padding=((1, 0), (2, 1)), use_bias=False
    ),
    "transposed dilation 2": transposed((4, 5, 3), 4, 3, dilation_rate=2, padding="same"),
    "transposed 2 groups": transposed((4, 3, 6), 10, 3, strides=2, groups=2, padding="same"),
}

POOLINGS = {
    **both_pools("2", (6, 8, 3), 2),
    **both_pools("2, odd image", (7, 5, 17), 2),
    **both_pools("2 same, odd image", (7, 5, 6), 2, padding="same"),
    **both_pools("3 stride 2, overlapping", (9, 7, 20), 3, strides=2),
    **both_pools("3 stride 2 same", (8, 8, 5), 3, strides=2, padding="same", batch=5),
    **both_pools("3 stride 1 same", (5, 6, 33), 3, strides=1, padding="same"),
    **both_pools("2 stride 3", (8, 9, 3), 2, strides=3),
    **both_pools("3 explicit 1", (5, 5, 3), 3, strides=2, padding=1),
    **both_pools("3 asymmetric", (5, 6, 3), 3, strides=2, padding=((2, 0), (1, 2))),
    **both_pools("3 stride 2, ceil", (8, 6, 17), 3, strides=2, ceil_mode=True),
    **both_pools("3 stride 2, explicit 1, ceil", (6, 5, 3), 3, 2, 1, ceil_mode=True),
    **both_pools("ceil, window larger than the image", (2, 3, 3), 3, 2, ceil_mode=True),
    **both_pools("ceil, the last window would begin outside", (4, 7, 3), 2, 3, 1, ceil_mode=True),
    "average 3 same, padding counts": average_pool(
        *((5, 6, 17), 3, 1, "same"), count_include_pad=True
    ),
    "average 3 asymmetric, ceil, padding counts": average_pool(
        *((6, 5, 3), 3, 2, ((2, 1), (0, 1))), ceil_mode=True, count_include_pad=True
    ),
    **both_pools("of the whole image", (4, 5, 64), (4, 5), batch=1),
    "max (1, 3)": max_pool((4, 9, 3), (1, 3)),
    "max (3, 2), strides (1, 2)": max_pool((6, 6, 5), (3, 2), strides=(1, 2)),
    "max one channel, batch 1": max_pool((5, 5, 1), 2, batch=1),
    "max 70 images": max_pool((4, 4, 3), 2, batch=70),
    "average (3, 1), strides (2, 3)": average_pool((6, 7, 5), (3, 1), strides=(2, 3)),
    **{
        f"norm {norm:g} of 3, overlapping": Case(
            (6, 5, 17),
            lambda norm=norm: L.LpPooling2D(3, 2, 1, ceil_mode=True, norm=norm),
            *(2, "curve", "curve"),
        )
        for norm in (1, 2, 3.5, 12)
    },
    "norm 2 of 2": Case((4, 6, 3), lambda: L.LpPooling2D(), 5, "curve", "curve"),
    "global max": Case((5, 4, 17), lambda: L.GlobalMaxPooling2D(), 5, "exact"),
    "global max, one pixel": Case((1, 1, 3), lambda: L.GlobalMaxPooling2D(), 1, "exact"),
    "global average": Case((5, 4, 17), lambda: L.GlobalAveragePooling2D(), 5),
    "global average, 64 channels": Case((7, 7, 64), lambda: L.GlobalAveragePooling2D(), 1),
}

NORMALIZATIONS = {
    "batch norm": Case((5, 6, 3), lambda: L.BatchNormalization(), 5, "sum", "statistics"),
    "batch norm, 17 channels": Case(
        (4, 4, 17), lambda: L.BatchNormalization(epsilon=1e-5), 5, "sum", "statistics"
    ),
    "batch norm, 64 channels, 33 images": Case(
        (3, 3, 64), lambda: L.BatchNormalization(), 33, "sum", "statistics"
    ),
    "batch norm, three strips": Case(
        (9, 9, 70), lambda: L.BatchNormalization(), 3, "sum", "statistics"
    ),
    "batch norm, batch 1": Case((6, 6, 1), lambda: L.BatchNormalization(), 1, "sum", "statistics"),
    "batch norm without scale": Case(
        (4, 4, 5), lambda: L.BatchNormalization(scale=False), 3, "sum", "statistics"
    ),
    "batch norm without center": Case(
        (4, 4, 5), lambda: L.BatchNormalization(center=False), 3, "sum", "statistics"
    ),
}

LOCAL_NORMALIZATIONS = {
    "response norm": Case((4, 5, 17), lambda: L.LocalResponseNormalization(), 2, "curve", "curve"),
    **{
        f"response norm of {size}, {channels} channels": Case(
            (3, 4, channels),
            lambda size=size: L.LocalResponseNormalization(size, alpha=2.0, beta=0.6, k=0.5),
            5,
            "curve",
            "chain",
        )
        for size, channels in ((1, 3), (2, 5), (3, 16), (4, 33), (5, 3), (9, 64), (100, 7))
    },
}


def image_norm(make, shape, batch=2) -> Case:
    return Case(shape, make, batch, "statistics", "statistics")


IMAGE_NORMALIZATIONS = {
    "group norm": image_norm(lambda: L.GroupNormalization(2), (4, 5, 6)),
    "group norm of one group": image_norm(lambda: L.GroupNormalization(1), (3, 4, 17), 5),
    "group norm of each channel": image_norm(lambda: L.GroupNormalization(-1), (4, 5, 5)),
    "group norm of groups of 17": image_norm(
        lambda: L.GroupNormalization(2, epsilon=1e-5, center=False), (4, 3, 34)
    ),
    "group norm of 64, 33 images": image_norm(
        lambda: L.GroupNormalization(scale=False), (3, 3, 64), 33
    ),
    "layer norm": image_norm(lambda: L.LayerNormalization(), (3, 4, 5), 5),
    "layer norm, 33 channels": image_norm(lambda: L.LayerNormalization(scale=False), (4, 3, 33), 5),
    "layer norm of images": image_norm(lambda: L.LayerNormalization((-3, -2, -1)), (3, 4, 5)),
    "layer norm of rows": image_norm(lambda: L.LayerNormalization([3, 2], center=False), (3, 4, 5)),
}

CONTRASTS = {
    "contrast norm": image_norm(lambda: L.LocalContrastNormalization(), (5, 6, 3)),
    "contrast norm of 3, 17 channels": image_norm(
        lambda: L.LocalContrastNormalization(3, sigma=0.8), (4, 7, 17), 5
    ),
    "contrast norm of 5, one channel": image_norm(
        lambda: L.LocalContrastNormalization(5), (7, 4, 1)
    ),
    "contrast norm, epsilon above": image_norm(
        lambda: L.LocalContrastNormalization(3, epsilon=30.0), (4, 5, 2)
    ),
}

GATINGS = {
    "squeeze and excite": Case((4, 5, 3), lambda: L.SqueezeExcite(2), 2, "curve", "chain"),
    "squeeze and excite, 17 channels": Case(
        (3, 2, 17), lambda: L.SqueezeExcite(4, "tanh", "sigmoid"), 2, "curve", "chain"
    ),
    "squeeze and excite, 1 unit of 64 channels": Case(
        (5, 5, 64), lambda: L.SqueezeExcite(units=1), 5, "curve", "chain"
    ),
    "scale by the input's shape": Case(
        (4, 3, 5), lambda: L.Scale([L.Conv2D(5, 3, padding="same")]), 2, "sum", "chain"
    ),
    "scale by itself": Case((3, 3, 6), lambda: L.Scale([]), 2),
    "scale by a vector": Case(
        (4, 3, 33),
        lambda: L.Scale([L.GlobalMaxPooling2D(), L.Dense(33, "tanh")]),
        5,
        "curve",
        "chain",
    ),
}

OTHERS = {
    "zero padding 1": Case((4, 5, 3), lambda: L.ZeroPadding2D(1), 2, "exact"),
    "zero padding 2, 17 channels": Case((3, 2, 17), lambda: L.ZeroPadding2D(2), 5, "exact"),
    "zero padding (1, 2)": Case((4, 5, 3), lambda: L.ZeroPadding2D((1, 2)), 2, "exact"),
    "zero padding asymmetric": Case(
        (4, 5, 6), lambda: L.ZeroPadding2D(((0, 2), (3, 1))), 2, "exact"
    ),
    "rescaling": Case((4, 5, 1), lambda: L.Rescaling(1 / 255, -0.5), 2),
    "rescaling by channel": Case((4, 5, 3), lambda: L.Rescaling([0.5, 2.0, 1.0], [1.0, 0.0, 3.0])),
    "normalization": Case((4, 5, 3), lambda: L.Normalization([0.1, 0.2, 0.3], [0.5, 2.0, 1.0]), 5),
    "spatial transformer": Case(
        (5, 6, 3),
        lambda: L.SpatialTransformer([L.GlobalAveragePooling2D(), L.Dense(6)]),
        *(3, "chain", "chain"),
    ),
    "spatial transformer to another size": Case(
        (4, 7, 17),
        lambda: L.SpatialTransformer([L.GlobalAveragePooling2D(), L.Dense(6)], (6, 3)),
        *(5, "chain", "chain"),
    ),
    "identity shortcut": Case((5, 6, 3), lambda: L.IdentityShortcut(7, 2), 2, "exact"),
    "identity shortcut, all channels": Case(
        (5, 6, 17), lambda: L.IdentityShortcut(17, (1, 3)), 2, "exact"
    ),
    "identity shortcut, zeros around": Case(
        (5, 6, 3), lambda: L.IdentityShortcut(8, 2, zeros_before=4), 2, "exact"
    ),
    "identity shortcut, all pixels": Case((3, 4, 5), lambda: L.IdentityShortcut(20), 5, "exact"),
    "reshape": Case((3, 4, 5), lambda: L.Reshape((2, -1, 3)), 5, "exact"),
    "cropping asymmetric": Case((5, 6, 3), lambda: L.Cropping2D(((1, 0), (2, 1))), 2, "exact"),
    "permute": Case((3, 4, 5), lambda: L.Permute((3, 1, 2)), 5, "exact"),
    "permute, channels kept": Case((3, 4, 17), lambda: L.Permute((2, 1, 3)), 2, "exact"),
    "upsampling": Case((3, 4, 17), lambda: L.UpSampling2D(), 2, "exact"),
    "upsampling (3, 1)": Case((3, 4, 5), lambda: L.UpSampling2D((3, 1)), 2, "exact"),
    "upsampling bilinear": Case((3, 4, 5), lambda: L.UpSampling2D(2, "bilinear")),
    "upsampling bilinear (3, 4)": Case((1, 4, 20), lambda: L.UpSampling2D((3, 4), "bilinear")),
    "PReLU": Case((4, 5, 3), lambda: L.PReLU(), 3),
    "PReLU, a slope a channel": Case((4, 5, 17), lambda: L.PReLU(shared_axes=[1, 2]), 3),
    "PReLU, one slope": Case((4, 5, 3), lambda: L.PReLU(shared_axes=[1, 2, 3]), 3),
    "PReLU of rows": Case((4, 5, 3), lambda: L.PReLU(shared_axes=[1]), 3),
    "ThresholdedReLU": Case((5, 5, 3), lambda: L.ThresholdedReLU(0.05), 2, "exact"),
    "stochastic depth of nothing": Case((3, 4, 5), lambda: L.StochasticDepth(0), 2, "exact"),
    "spatial dropout of nothing": Case((3, 4, 5), lambda: L.SpatialDropout2D(0), 2, "exact"),
    "dense on a map": Case((4, 5, 17), lambda: L.Dense(20, activation="relu"), 3),
    "flatten": Case((3, 4, 5), lambda: L.Flatten(), 5, "exact"),
    "dropout of nothing": Case((3, 4, 5), lambda: L.Dropout(0.0), 2, "exact"),
    "ReLU": Case((5, 5, 3), lambda: L.ReLU(), 2, "exact"),
    "ReLU up to 6": Case((5, 5, 3), lambda: L.ReLU(6), 2, "exact"),
    "ReLU up to 0.125": Case((5, 5, 17), lambda: L.ReLU(0.125), 2, "exact"),
    "ReLU with a threshold": Case((5, 5, 3), lambda: L.ReLU(threshold=0.0625), 2, "exact"),
    "ReLU with all arguments": Case((5, 5, 17), lambda: L.ReLU(0.1, 0.2, 0.05), 2),
    "LeakyReLU": Case((5, 5, 3), lambda: L.LeakyReLU(), 2),
    "LeakyReLU 0.01": Case((5, 5, 17), lambda: L.LeakyReLU(negative_slope=0.01), 2),
    "ELU": Case((5, 5, 3), lambda: L.ELU(), 2, "curve", "curve"),
    "ELU 0.5": Case((5, 5, 17), lambda: L.ELU(alpha=0.5), 2, "curve", "curve"),
    "Softmax": Case((3, 3, 10), lambda: L.Softmax(), 2, "curve", "curve"),
    **{
        f"Activation {name}": Case((5, 4, 17), lambda n=name: L.Activation(n), 5, "curve", "curve")
        for name in ACTIVATIONS
    },
}

CASES: dict[str, Case] = {
    **CONVOLUTIONS,
    **CHANNELS,
    **COLUMNS,
    **DEPTHWISE,
    **LOCAL,
    **TRANSPOSED,
    **POOLINGS,
    **NORMALIZATIONS,
    **GATINGS,
    **CONTRASTS,
    **IMAGE_NORMALIZATIONS,
    **LOCAL_NORMALIZATIONS,
    **OTHERS,
}
