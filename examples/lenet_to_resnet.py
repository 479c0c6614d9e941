"""LeNet to ResNet on the same images: thirty years of networks, one training each.

python examples/lenet_to_resnet.py [--epochs 4] [--out runs/lenet_to_resnet.png]

Each network gets the same bundled images, the same optimizer and as many epochs. The picture sets
accuracy against the time that it took and against the weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from matplotlib import pyplot

import fastcnn
from fastcnn import applications
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    MaxPooling2D,
    ReLU,
    Rescaling,
)

SHAPE = (28, 28, 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--out", type=Path, default=Path("runs/lenet_to_resnet.png"))
    args = options.parse_args()
    (x, y), (x_test, y_test) = fastcnn.data.sample()
    networks = {
        "LeNet-1, 1989": applications.lenet1(SHAPE, 10, rescale=True),
        "LeNet-5, 1998": applications.lenet5(SHAPE, 10, rescale=True),
        "3x3 filters, 2014": vgg_like(),
        "ResNet-20, 2015": applications.resnet20(SHAPE, 10, rescale=True),
    }
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    for name, model in networks.items():
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        model.train_on_batch(x[:64], y[:64])  # what is not compiled yet is, before the clock runs
        start = time.perf_counter()
        model.fit(x, y, epochs=args.epochs, batch_size=64, verbose=0)
        seconds = time.perf_counter() - start
        _, accuracy = model.evaluate(x_test, y_test, batch_size=100)
        weights = sum(parameter.size for parameter in model.parameters)
        print(f"{name}: {100 * accuracy:.1f} %, {weights:,} weights, {seconds:.1f} s")
        for axes, value in zip(panels, (seconds, weights), strict=True):
            axes.scatter(value, 100 * accuracy, 60)
            point, above = (value, 100 * accuracy), {"textcoords": "offset points", "ha": "center"}
            axes.annotate(name, point, (0, 7), **above)
    panels[0].set(xscale="log", xlabel="seconds of training", ylabel="test accuracy, %")
    panels[1].set(xscale="log", xlabel="weights")
    for axes in panels:
        axes.margins(0.25)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def vgg_like() -> fastcnn.Sequential:
    """Pairs of 3x3 convolutions, each as wide as the one before or twice as wide."""
    layers = [Rescaling(1 / 255)]
    for filters in (16, 32, 64):
        for _ in range(2):
            layers += [Conv2D(filters, 3, padding="same"), BatchNormalization(momentum=0.9), ReLU()]
        layers.append(MaxPooling2D())
    layers += [GlobalAveragePooling2D(), Dense(10, activation="softmax")]
    return fastcnn.Sequential(layers, input_shape=SHAPE, seed=0)


if __name__ == "__main__":
    main()
