"""Nets drawn at random from all layers: {number: Net}, the same for the same number everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastcnn import layers as L
from fastcnn import losses
from fastcnn.layers.activation import ACTIVATIONS as NAMES

ACTIVATIONS = (None, *NAMES)
CHANNELS = (1, 2, 3, 4, 6, 16, 17)
DEEPEST = 3  # Residuals and Concats within each other
WIDEST = 40  # channels, after which a chain ends
LEAST_STATISTICS = 6  # numbers a mean and a variance are taken of


@dataclass
class Net:
    """Layers on `batch` images of `shape`, under `loss`."""

    shape: tuple[int, ...]
    layers: list[L.Layer]
    batch: int
    loss: losses.Loss


def draw(number: int) -> Net:
    """The net of a number."""
    return _Drawing(np.random.default_rng([23, number])).net()


class _Drawing:
    """Draws from one generator; methods return a layer, or a list of layers, for a shape."""

    def __init__(self, generator):
        self.generator = generator
        self.batch = self.choice((1, 2, 3, 5, 9, 18))

    def net(self) -> Net:
        if self.chance(0.8):
            rows, columns = self.whole(1, 7), self.whole(1, 7)
            shape = (rows, columns, self.choice(CHANNELS))
        else:
            shape = (self.choice((1, 3, 8, 17, 33)),)
        layers = self.chain(shape, self.whole(1, 5), 0)
        loss = losses.MeanSquaredError()
        if self.chance(0.5):
            end, loss = self.classifier()
            layers += [*([] if len(after(layers, shape)) == 1 else [self.to_vector()]), *end]
        elif after(layers, shape)[-1] == 1:
            layers.append(L.Activation("tanh"))  # a softmax of a single number is refused
        if self.chance(0.15):
            self.insert_auxiliary(layers, shape, loss)
        return Net(shape, layers, self.batch, loss)

    def insert_auxiliary(self, layers, shape, loss):
        """Put an auxiliary classifier somewhere between the layers, if they end in a vector."""
        place, output = self.whole(0, len(layers)), after(layers, shape)
        if len(output) > 1:
            return
        body = [self.to_vector()] if len(after(layers[:place], shape)) > 1 else []
        activation = None if loss.from_logits else loss.fuses
        body.append(L.Dense(*output, activation, **self.common()))
        weight = self.choice((0.3, 1.0, 2.0))
        layers.insert(place, L.AuxiliaryClassifier(body, weight, **self.common()))

    def classifier(self):
        """A dense layer with its activation, of its own or apart, and a loss that fits it."""
        activation, loss = self.choice(
            (
                ("softmax", losses.SparseCategoricalCrossentropy()),
                ("softmax", losses.MeanSquaredError()),
                ("sigmoid", losses.BinaryCrossentropy()),
                (None, losses.SparseCategoricalCrossentropy(from_logits=True)),
            )
        )
        units = self.whole(2, 6)
        if activation is None or self.chance(0.5):
            return [L.Dense(units, activation, **self.common())], loss
        return [L.Dense(units, **self.common()), L.Activation(activation)], loss

    def to_vector(self):
        return self.choice((L.Flatten, L.GlobalAveragePooling2D, L.GlobalMaxPooling2D))()

    def chain(self, shape, length, depth):
        """Layers one after another, of any shape."""
        layers = []
        for _ in range(length):
            layers.append(self.layer(shape, depth))
            shape = after(layers[-1:], shape)
            if shape[-1] > WIDEST:
                break
        return layers

    def layer(self, shape, depth):
        if self.chance(0.5):
            return self.keeping(shape, depth)
        if len(shape) == 1:
            return L.Dense(self.choice(CHANNELS), **self.weighted())
        kinds = (
            *(self.convolution, self.convolution, self.depthwise, self.separable),
            *(self.pooling, self.pooling, self.padding, self.local, self.transformer),
            *(self.transposed, self.cropping),
        )
        if self.chance(0.1):
            return self.choice((L.GlobalAveragePooling2D, L.GlobalMaxPooling2D))(
                keepdims=self.chance(0.7)
            )
        if self.chance(0.1):
            return L.Dense(self.choice(CHANNELS), **self.weighted())
        if self.chance(0.05):
            return L.Reshape((shape[1], -1, shape[2]))
        if self.chance(0.05):
            return L.Permute(self.choice(((2, 1, 3), (3, 1, 2), (1, 3, 2))))
        if self.chance(0.1):
            scale = (self.whole(1, 3), self.whole(1, 2))
            return L.UpSampling2D(scale, self.choice(("nearest", "bilinear")))
        return L.Flatten() if self.chance(0.05) else self.choice(kinds)(shape)

    def keeping(self, shape, depth):
        """A layer that leaves the shape as it is."""
        kinds = [self.activation, self.activation, self.normalization, self.affine, self.dropout]
        kinds += [self.local_normalization, self.image_normalization]
        if depth < DEEPEST:
            kinds += [self.residual, self.residual, self.concat] if depth == 0 else [self.residual]
            kinds += [self.scale]
        if len(shape) == 3:
            kinds += [self.same_convolution, self.same_pooling, self.contrast]
        else:
            kinds += [lambda shape, depth: L.Dense(shape[-1], **self.weighted())]
        return self.choice(kinds)(shape, depth)

    def body(self, shape, depth):
        """Layers that leave the shape as it is: none, one or several."""
        return [self.keeping(shape, depth + 1) for _ in range(self.choice((0, 1, 1, 2, 3)))]

    def residual(self, shape, depth):
        body = self.body(shape, depth)
        way = self.choice(("identity", "identity", "kept", "twins", "padded"))
        if way == "padded" and len(shape) == 3 and depth == 0:  # ResNet's option A
            wider, strides = shape[2] + self.whole(0, 5), self.whole(1, 2)
            end = L.Conv2D(wider, 3, strides, padding="same", **self.weighted())
            return L.Residual([*body, end], [L.IdentityShortcut(wider, strides)], **self.common())
        if way == "identity":
            return L.Residual(body, **self.common())
        if way == "kept":
            return L.Residual(body, self.body(shape, depth), **self.common())
        ends = self.layer(shape, DEEPEST)  # both sides end in layers of one configuration
        sides = [*body, ends], [*self.body(shape, depth), twin(ends)]
        # What a residual changes the shape to, its neighbours in a body could not go on from.
        return L.Residual(*sides, **self.common()) if depth == 0 else L.Residual(body, [])

    def scale(self, shape, depth):
        if len(shape) == 3 and self.chance(0.5):
            return L.SqueezeExcite(self.whole(1, 4), self.choice(ACTIVATIONS), **self.common())
        body = self.body(shape, depth)
        if len(shape) == 3 and self.chance(0.5):
            body.append(L.GlobalAveragePooling2D(keepdims=self.chance(0.5)))
        return L.Scale([*body, L.Activation("sigmoid")], **self.common())

    def concat(self, shape, depth):
        """Branches that agree in all but the channels."""
        branches = []
        for _ in range(self.whole(1, 4)):
            branch = self.body(shape, depth)
            if self.chance(0.5):
                units = self.choice((1, 2, 3, 5))
                wider = L.Dense(units) if len(shape) == 1 else L.Conv2D(units, 1)
                branch = [*branch, wider, *self.body((*shape[:-1], units), depth)]
            branches.append(branch)
        return L.Concat(*branches, **self.common())

    def common(self):
        return {"trainable": self.chance(0.85)}

    def weighted(self):
        return {
            "activation": self.choice(ACTIVATIONS),
            "use_bias": self.chance(0.7),
            **({"bias_regularizer": "l2"} if self.chance(0.1) else {}),
            **self.common(),
        }

    def windows(self, shape, dilated=True):
        """(size, strides, padding, dilation) of a window that fits into an image."""
        style = self.choice(("valid", "same", "explicit"))
        values = []
        for extent in shape[:2]:
            size, stride = self.whole(1, 5), self.whole(1, 3)
            dilation = self.whole(1, 2) if dilated else 1
            before, after_ = (
                (self.whole(0, size - 1), self.whole(0, size - 1))
                if style == "explicit"
                else (0, 0)
            )
            if style != "same" and (size - 1) * dilation + 1 > extent + before + after_:
                size, dilation, before, after_ = 1, 1, 0, 0
            values.append((size, stride, (before, after_), dilation))
        size, strides, padding, dilation = zip(*values, strict=True)
        return size, strides, padding if style == "explicit" else style, dilation

    def mode(self, shape):
        """A padding_mode; windows reach at most 4 pixels beyond an edge."""
        modes = ("zeros", "zeros", "zeros", "edge", "reflect")
        return {"padding_mode": self.choice(modes[: 5 if min(shape[:2]) > 4 else 4])}

    def convolution(self, shape):
        groups = self.choice([g for g in (1, 1, 2, 3, shape[2]) if shape[2] % g == 0])
        filters = groups * self.choice((1, 2, 3, 5, 8, 17) if groups < 5 else (1, 2))
        table = None
        if groups == 1 and self.chance(0.2):
            table = self.generator.random((shape[2], filters)) < 0.5
            table[self.whole(0, shape[2] - 1)] = True  # each filter sees a channel
        return L.Conv2D(
            *(filters, *self.windows(shape), groups),
            connections=table,
            **self.weighted(),
            **self.mode(shape),
        )

    def transposed(self, shape):
        groups = self.choice([g for g in (1, 1, 2, 3) if shape[2] % g == 0])
        strides, padding = self.whole(1, 3), self.choice(("valid", "same"))
        more = self.choice((None, self.whole(0, strides - 1))) if padding == "valid" else None
        return L.Conv2DTranspose(
            groups * self.choice((1, 2, 5)),
            (self.whole(1, 4), self.whole(1, 4)),
            *(strides, padding, more),
            groups=groups,
            **self.weighted(),
        )

    def cropping(self, shape):
        sides = [self.whole(0, min(2, size - 1)) for size in shape[:2]]
        return L.Cropping2D(tuple((side - side // 2, side // 2) for side in sides))

    def depthwise(self, shape):
        size, strides, padding, dilation = self.windows(shape)
        return L.DepthwiseConv2D(
            *(size, strides, padding, self.whole(1, 2), dilation),
            **self.weighted(),
            **self.mode(shape),
        )

    def separable(self, shape):
        size, strides, padding, dilation = self.windows(shape)
        return L.SeparableConv2D(
            self.choice((1, 3, 6)),
            size,
            strides,
            padding,
            depth_multiplier=self.whole(1, 2),
            dilation_rate=dilation,
            **self.weighted(),
            **self.mode(shape),
        )

    def transformer(self, shape):
        size = (self.whole(1, 7), self.whole(1, 7)) if self.chance(0.5) else None
        return L.SpatialTransformer([self.to_vector(), L.Dense(6)], size, **self.common())

    def local(self, shape):
        size, strides, padding, _ = self.windows(shape, dilated=False)
        filters = self.choice((1, 2, 5))
        return L.LocallyConnected2D(filters, size, strides, padding, **self.weighted())

    def pooling(self, shape):
        size, strides, padding, _ = self.windows(shape, dilated=False)
        ceil_mode = self.chance(0.3)
        if self.chance(0.2):
            norm = self.choice((1.0, 2.0, 3.0))
            return L.LpPooling2D(size, strides, padding, ceil_mode, norm)
        if self.chance(0.5):
            return L.MaxPooling2D(size, strides, padding, ceil_mode)
        return L.AveragePooling2D(size, strides, padding, ceil_mode, self.chance(0.5))

    def padding(self, shape):
        return L.ZeroPadding2D(tuple((self.whole(0, 2), self.whole(0, 2)) for _ in range(2)))

    def same_convolution(self, shape, depth):
        kernel = self.choice((1, 2, 3))
        if self.chance(0.3):
            return L.DepthwiseConv2D(kernel, padding="same", **self.weighted())
        return L.Conv2D(shape[2], kernel, padding="same", **self.weighted())

    def same_pooling(self, shape, depth):
        return self.choice((L.MaxPooling2D, L.AveragePooling2D))(self.choice((1, 2, 3)), 1, "same")

    def activation(self, shape, depth):
        kinds = (
            lambda: L.Activation(self.choice(ACTIVATIONS[1:])),
            lambda: L.ReLU(),
            lambda: L.ReLU(),
            lambda: L.ReLU(negative_slope=0.1),
            lambda: L.ReLU(max_value=0.8, negative_slope=0.2, threshold=0.1),
            lambda: L.LeakyReLU(),
            lambda: L.ELU(alpha=0.7),
            lambda: L.ThresholdedReLU(0.3),
            lambda: L.PReLU(shared_axes=self.choice((None, tuple(range(1, len(shape)))))),
            lambda: L.Softmax(),
        )
        return self.choice(kinds)()

    def normalization(self, shape, depth):
        frozen = int(np.prod(shape[:-1])) * self.batch < LEAST_STATISTICS
        return L.BatchNormalization(
            momentum=self.choice((0.0, 0.5, 0.99)),
            epsilon=self.choice((1e-2, 1e-3)),
            center=self.chance(0.8),
            scale=self.chance(0.8),
            trainable=not frozen and self.chance(0.8),
        )

    def local_normalization(self, shape, depth):
        return L.LocalResponseNormalization(
            self.whole(1, 6), self.choice((1e-4, 0.5, 2.0)), self.choice((0.5, 0.75, 1.0)), 1.0
        )

    def contrast(self, shape, depth):
        if np.prod(shape) < 2 * LEAST_STATISTICS:
            return self.local_normalization(shape, depth)
        return L.LocalContrastNormalization(
            self.choice((3, 5, 9)), epsilon=self.choice((0.01, 2.0))
        )

    def image_normalization(self, shape, depth):
        """Group or layer normalization, of enough numbers together."""
        options = {
            "epsilon": self.choice((1e-2, 1e-3)),
            "center": self.chance(0.8),
            "scale": self.chance(0.8),
            **self.common(),
        }
        size, channels = int(np.prod(shape)), shape[-1]
        groups = [g for g in (1, 2, 3, channels) if channels % g == 0]
        groups = [g for g in groups if size // g >= LEAST_STATISTICS]
        axes = [tuple(range(-n, 0)) for n in range(1, len(shape) + 1)]
        axes = [axis for axis in axes if np.prod(shape[axis[0] :]) >= LEAST_STATISTICS]
        if not groups:
            return self.local_normalization(shape, depth)
        if self.chance(0.5):
            return L.GroupNormalization(self.choice(groups), **options)
        return L.LayerNormalization(self.choice(axes), **options)

    def affine(self, shape, depth):
        each = self.chance(0.5)
        numbers = [
            self.generator.uniform(0.5, 1.5, shape[-1] if each else 1).round(3).tolist()
            for _ in range(2)
        ]
        return self.choice((L.Rescaling, L.Normalization))(*numbers)

    def dropout(self, shape, depth):
        kinds = (L.Dropout, L.Dropout, L.StochasticDepth, L.SpatialDropout2D)
        kind = self.choice(kinds if len(shape) == 3 else kinds[:3])
        return kind(self.choice((0.0, 0.3, 0.5)))

    def chance(self, probability) -> bool:
        return bool(self.generator.random() < probability)

    def whole(self, least, most) -> int:
        return int(self.generator.integers(least, most + 1))

    def choice(self, values):
        return values[self.generator.integers(len(values))]


def twin(layer: L.Layer) -> L.Layer:
    """A new layer of the same configuration, with the name that it is given."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    if isinstance(layer, L.Residual | L.Concat | L.Scale):
        raise TypeError("A twin of a layer that holds others would share their names.")
    return type(layer).from_config(config)


def after(layers: list[L.Layer], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that fresh layers of the same configurations make of `shape`."""
    for layer in layers:
        copy = type(layer).from_config(layer.get_config())
        copy.build(shape)
        shape = copy.output_shape
    return shape
