"""What is checked: convolution problems with awkward sizes, layers, losses and optimizers."""

from __future__ import annotations

from fastcnn import data, losses
from fastcnn.graph.problem import Problem
from fastcnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

AROUND = ((1, 1), (1, 1))
PROBLEMS = {
    "3x3 same": Problem(17, 19, 33, 65, (3, 3), padding=AROUND),
    "3x3 same, whole tiles": Problem(16, 16, 128, 128, (3, 3), padding=AROUND),
    "3x3 valid": Problem(30, 29, 16, 40, (3, 3)),
    "3x3 many channels": Problem(14, 13, 260, 130, (3, 3), padding=AROUND),
    "3x3 one channel and filter": Problem(11, 10, 1, 1, (3, 3), padding=AROUND),
    "3x3 on one pixel": Problem(1, 1, 5, 7, (3, 3), padding=AROUND),
    "3x3 uneven padding": Problem(9, 12, 6, 15, (3, 3), padding=((2, 0), (0, 1))),
    "3x3 stride 2": Problem(28, 27, 20, 36, (3, 3), (2, 2), ((0, 1), (0, 1))),
    "5x5 one channel": Problem(28, 28, 1, 6, (5, 5), padding=((2, 2), (2, 2))),
    "7x7 stride 2": Problem(37, 41, 3, 64, (7, 7), (2, 2), ((3, 3), (3, 3))),
    "1x1": Problem(13, 15, 100, 36, (1, 1)),
    "1x1 stride 2": Problem(14, 14, 64, 128, (1, 1), (2, 2)),
    "dilated groups": Problem(
        20, 18, 12, 16, (3, 3), padding=((2, 2), (2, 2)), dilation=(2, 2), groups=2
    ),
    "depthwise": Problem(15, 17, 40, 40, (3, 3), padding=AROUND, groups=40),
    "depthwise stride 2": Problem(15, 17, 40, 40, (3, 3), (2, 2), AROUND, groups=40),
    "depthwise 5x5": Problem(15, 17, 12, 12, (5, 5), padding=((2, 2), (2, 2)), groups=12),
    "depthwise 4x4 stride 3": Problem(15, 17, 12, 12, (4, 4), (3, 3), groups=12),
}
IMAGES = 5
TINY_PROBLEMS = {"2x2": Problem(3, 4, 2, 3, (2, 2), padding=((1, 0), (0, 0)))}
TINY_IMAGES = 2
SLOW = ("winograd", "winograd-2x2")  # minutes in the simulator, where they have their own tests

# Of tests/reference/layer_cases.py, one of each kind, where not all of them are checked.
LAYERS = (
    *("3x3 same", "3x3 stride 2 same, odd", "3x3 gelu", "1x1", "2 groups", "depthwise 3x3"),
    *(
        "separable 3x3",
        "max 2, odd image",
        "max 3 stride 2, overlapping",
        "average 3 stride 2 same",
    ),
    *("global max", "global average", "batch norm", "zero padding asymmetric", "rescaling"),
    *("normalization", "flatten", "ReLU", "LeakyReLU", "ELU", "Softmax", "Activation tanh"),
)
TINY_LAYERS = ("1x1 one channel, batch 1", "max one channel, batch 1", "batch norm, batch 1")

LOSSES = {kind.__name__: kind() for kind in dict.fromkeys(losses.LOSSES.values())}
# What stands before a loss: the activation that it absorbs first.
ENDINGS: dict[str, tuple[str | None, ...]] = {
    "CategoricalCrossentropy": ("softmax", "sigmoid"),
    "SparseCategoricalCrossentropy": ("softmax", "sigmoid"),
    "BinaryCrossentropy": ("sigmoid", "softmax"),
    "KLDivergence": ("softmax", "sigmoid"),
}
TINY_LOSSES = ("SparseCategoricalCrossentropy",)
OPTIMIZERS = {
    repr(case): case
    for case in (
        SGD(0.05),
        SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        RMSprop(0.01),
        RMSprop(0.01, momentum=0.5),
        RMSprop(0.01, centered=True),
        RMSprop(0.01, momentum=0.5, centered=True),
        Adam(0.01),
        AdamW(0.01, weight_decay=0.1),
        Adagrad(0.05),
        SGD(0.05, momentum=0.9, global_clipnorm=0.1),
    )
}
TINY_OPTIMIZERS = (repr(SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),)

# All that the GPU augments itself.
AUGMENTED = (
    data.RandomFlip(),
    data.RandomRotation(0.1),
    data.RandomContrast(0.2),
    data.RandomHue(0.1),
    data.GaussianNoise(9.0),
    data.RandomErasing(),
)
DTYPES = ("uint8", "float32")
