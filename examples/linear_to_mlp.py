"""From the linear classifier to the multilayer perceptron, on the bundled images.

python examples/linear_to_mlp.py [--epochs 20] [--out runs/linear_to_mlp.png]

A linear classifier has one template a class: its weights, drawn as pictures. One hidden layer, then
two, tell more images apart; the curves show at which price in weights and in overfitting.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib import pyplot

import fastcnn
from fastcnn.layers import Dense, Flatten, Rescaling

NETWORKS = {"linear": [], "128 hidden units": [128], "256 and 128 hidden units": [256, 128]}
COLOURS = ("#6b7785", "#2f6fb2", "#c2702f")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--out", type=Path, default=Path("runs/linear_to_mlp.png"))
    args = options.parse_args()
    (x, y), test = fastcnn.data.sample()
    figure = pyplot.figure(figsize=(11, 6.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2, 1.9))
    axes = above.subplots(1, 2, width_ratios=(3, 2))
    for (name, hidden), colour in zip(NETWORKS.items(), COLOURS, strict=True):
        model = network(hidden)
        history = model.fit(
            x, y, epochs=args.epochs, batch_size=64, validation_data=test, verbose=0
        ).history
        accuracy, weights = history["val_accuracy"][-1], sum(p.size for p in model.parameters)
        axes[0].plot(history["accuracy"], "--", color=colour)
        axes[0].plot(history["val_accuracy"], color=colour, label=f"{name}")
        axes[1].scatter(weights, accuracy, 60, colour)
        axes[1].annotate(f"  {100 * accuracy:.1f} %", (weights, accuracy), va="center")
        print(f"{name}: {weights:,} weights, {100 * accuracy:.1f} % of the test images")
        if not hidden:
            templates(below, model)
    axes[0].set(xlabel="epoch", ylabel="accuracy", title="test, and training dashed")
    axes[0].legend(loc="lower right")
    axes[1].set(xlabel="weights", xscale="log", xlim=(4e3, 8e5), title="test accuracy")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


def network(hidden: list[int]) -> fastcnn.Sequential:
    layers = [Rescaling(1 / 255), Flatten(), *(Dense(units, activation="relu") for units in hidden)]
    layers.append(Dense(10, activation="softmax", name="scores"))
    model = fastcnn.Sequential(layers, input_shape=(28, 28, 1), seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def templates(figure: pyplot.Figure, model: fastcnn.Sequential) -> None:
    """The weights of the linear classifier, a picture a class: purple for it, orange against."""
    kernel = model.layer("scores").named_parameters()["kernel"].value
    largest = abs(kernel).max()
    figure.suptitle("what the linear classifier looks for")
    panels = figure.subplots(2, 5).ravel()
    for axes, template, name in zip(
        panels, kernel.T, fastcnn.data.class_names("sample"), strict=True
    ):
        axes.imshow(template.reshape(28, 28), cmap="PuOr", vmin=-largest, vmax=largest)
        axes.set_title(name, fontsize=9)
        axes.axis("off")


if __name__ == "__main__":
    main()
